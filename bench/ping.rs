//! The smallest service worth measuring with: answers every request with the contents of `version.txt`.
//! Compiled by the bench with `rustc -O`.

use std::io::{Read, Write};
use std::net::TcpListener;

fn main() -> std::io::Result<()> {
    let version = std::fs::read_to_string("version.txt")?;
    let port = std::env::var("PORT").map_err(std::io::Error::other)?;
    let listener = TcpListener::bind(format!("127.0.0.1:{port}"))?;
    let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{version}", version.len());
    for stream in listener.incoming() {
        let (mut stream, answer) = (stream?, answer.clone());
        std::thread::spawn(move || {
            let mut head = [0_u8; 8192];
            let mut have = 0;
            while let Ok(n @ 1..) = stream.read(&mut head[have..]) {
                have += n;
                if head[..have].ends_with(b"\r\n\r\n") {
                    have = 0;
                    if stream.write_all(answer.as_bytes()).is_err() {
                        return;
                    }
                }
            }
        });
    }
    Ok(())
}
