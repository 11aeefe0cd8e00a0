//! The secrets of a workload on their way from the server, and where the program finds them.

use super::mounts::secret_file;
use crate::spec::{Mount, MountKind, Private, Spec};
use crate::{SECRETS, state};
use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

/// Said to the shim in its environment: its first connection begins with them.
pub const TOLD: &str = "NARU_SHIM_PRIVATE";
/// Bytes.
const LARGEST: u32 = 64 << 20;
const PATIENCE: Duration = Duration::from_secs(30);

/// Four bytes of length, little-endian, and JSON.
pub fn send(mut stream: &UnixStream, private: &Private) -> io::Result<()> {
    let bytes = zeroize::Zeroizing::new(serde_json::to_vec(private)?);
    let length = u32::try_from(bytes.len()).ok().filter(|n| *n <= LARGEST);
    let length = length.ok_or_else(|| io::Error::other("more than 64 MiB of secrets"))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.write_all(&length.to_le_bytes())?;
    stream.write_all(&bytes)?;
    stream.set_write_timeout(None)
}

/// As sent; none where the server does not send any.
pub fn receive(stream: Option<&UnixStream>) -> io::Result<Private> {
    let (Some(mut stream), Some(_)) = (stream, std::env::var_os(TOLD)) else {
        return Ok(Private::default());
    };
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut length = [0; 4];
    stream.read_exact(&mut length)?;
    let length = Some(u32::from_le_bytes(length)).filter(|n| *n <= LARGEST);
    let length = length.ok_or_else(|| io::Error::other("more than 64 MiB of secrets"))?;
    let mut bytes = zeroize::Zeroizing::new(vec![0; length as usize]);
    stream.read_exact(&mut bytes)?;
    stream.set_read_timeout(None)?;
    Ok(serde_json::from_slice(&bytes)?)
}

/// The spec as it is run. Without a sandbox the files are in the state directory, which goes with the workload.
pub fn complete(spec: &mut Spec, private: Private, state: &Path) -> Result<(), String> {
    let Private { mut env, files, mask } = private;
    spec.mask.extend(mask);
    if !files.is_empty() {
        let dir = match &mut spec.sandbox {
            Some(sandbox) => {
                let kind = MountKind::Files { files: files.clone() };
                sandbox.mounts.push(Mount { at: SECRETS.into(), kind });
                SECRETS.into()
            }
            None => {
                let dir = state.join("secrets");
                state::make_dir(&dir).map_err(|e| e.to_string())?;
                for (name, content) in &files {
                    secret_file(&dir.join(name), content)?;
                }
                dir
            }
        };
        let path = |name: &String| (name.clone(), dir.join(name).display().to_string());
        env.extend(files.iter().map(|(name, _)| path(name)));
    }
    spec.env.retain(|(name, _)| !env.iter().any(|(n, _)| n == name));
    spec.env.extend(env);
    Ok(())
}
