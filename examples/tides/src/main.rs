use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};

fn main() -> std::io::Result<()> {
    let port = std::env::var("PORT").expect("PORT is set by whoever starts this");
    let listener = TcpListener::bind(format!("127.0.0.1:{port}"))?;
    println!("listening on {port}");
    for stream in listener.incoming() {
        let stream = stream?;
        std::thread::spawn(move || {
            if let Err(error) = talk(stream) {
                eprintln!("connection: {error}");
            }
        });
    }
    Ok(())
}

fn talk(mut stream: TcpStream) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?.take(1 << 20));
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Ok(());
        }
        let path = line.split(' ').nth(1).unwrap_or("/").to_owned();
        // The rest of the head, to its empty line.
        while reader.read_line(&mut line)? > 2 {}
        let (status, body) = answer(&path);
        let length = body.len();
        write!(stream, "HTTP/1.1 {status}\r\ncontent-type: text/plain\r\ncontent-length: {length}\r\n\r\n{body}")?;
    }
}

fn answer(path: &str) -> (&'static str, String) {
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let hour = query.strip_prefix("hour=").and_then(|h| h.parse().ok()).unwrap_or(0.0);
    match path {
        "/healthz" => ("200 OK", "ok\n".into()),
        "/" => ("200 OK", format!("{:.0} cm\n", tides::height(hour))),
        _ => ("404 Not Found", "no such page\n".into()),
    }
}
