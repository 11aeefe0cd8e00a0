//! What is told to a workload and written nowhere.

use crate::rig::{Rig, words};
use host::{Private, Spec};
use std::path::Path;

const CANARY: &str = "canary-6f1ed002ab";

fn private() -> Private {
    Private {
        env: vec![("PASSWORD".into(), CANARY.into())],
        files: vec![("KEY".into(), format!("line one\n{CANARY}\n"))],
        mask: vec![CANARY.into()],
    }
}

/// Every file below that holds the canary.
fn found(dir: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(self::found(&path));
        } else if path.is_file() {
            let bytes = std::fs::read(&path).unwrap_or_default();
            if bytes.windows(CANARY.len()).any(|w| w == CANARY.as_bytes()) {
                found.push(path.display().to_string());
            }
        }
    }
    found
}

#[tokio::test]
async fn a_sandbox_knows_it_and_no_file_of_ours_does() {
    let rig = Rig::new().await;
    if rig.host.abilities().namespaces == host::Namespaces::None {
        return;
    }
    let fifo = rig.fifo();
    let mount =
        host::Mount { at: "/fifo".into(), kind: host::MountKind::ReadOnly { from: fifo.clone() } };
    let script = "set -x; test \"$PASSWORD\" = \"$(tail -1 $KEY)\" && echo same; stat -c %a $KEY; \
                  : > $KEY || echo kept; echo $PASSWORD | base64; read go < /fifo; printenv PASSWORD";
    let mut spec = Spec { private: private(), ..rig.job("a", script) };
    if let Some(sandbox) = &mut spec.sandbox {
        sandbox.mounts.push(mount);
    }
    let workload = rig.host.start(spec).await.unwrap();
    assert!(found(rig.dir.path()).is_empty(), "while it runs");
    // A server that comes later finds it, without its secrets.
    let again = rig.reopen().await;
    assert!(again.find("a").unwrap().spec().private.is_empty());
    std::fs::write(&fifo, "go\n").unwrap();
    assert!(workload.wait().await.success());
    let said = words(&workload.spec().log);
    for line in ["same", "400"] {
        assert!(said.iter().any(|l| l == line), "{line} in {said:?}");
    }
    assert_eq!(said.last().unwrap(), "[MASKED]");
    assert!(found(rig.dir.path()).is_empty(), "after it: {:?}", found(rig.dir.path()));
    let debug = format!("{:?}", workload.spec());
    assert!(debug.contains("PASSWORD") && !debug.contains(CANARY));
}

#[tokio::test]
async fn without_a_sandbox_a_file_goes_with_the_workload() {
    let rig = Rig::new().await;
    let script = "cat $KEY; stat -c %a $KEY; echo $PASSWORD";
    let spec = Spec { private: private(), ..rig.plain("a", script) };
    let workload = rig.host.start(spec).await.unwrap();
    assert!(workload.wait().await.success());
    let said = words(&workload.spec().log);
    let said: Vec<&str> =
        said.iter().map(String::as_str).filter(|l| !l.contains("isolation")).collect();
    assert_eq!(said, ["line one", "[MASKED]", "400", "[MASKED]"]);
    rig.host.forget("a").await.unwrap();
    assert!(found(rig.dir.path()).is_empty());
}

#[tokio::test]
async fn more_than_a_socket_holds_arrives_and_a_name_that_is_a_path_does_not() {
    let rig = Rig::new().await;
    let value = "x".repeat(100_000);
    let many: Vec<(String, String)> = (0..20).map(|n| (format!("V{n}"), value.clone())).collect();
    let private = Private { env: many, ..Private::default() };
    let spec = Spec { private, ..rig.plain("a", "echo ${#V0} ${#V19}") };
    let workload = rig.host.start(spec).await.unwrap();
    assert!(workload.wait().await.success());
    assert_eq!(words(&workload.spec().log).last().unwrap(), "100000 100000");
    for name in ["../x", "", "a/b"] {
        let private = Private { files: vec![(name.into(), "x".into())], ..Private::default() };
        let spec = Spec { private, ..rig.plain("b", "true") };
        assert_eq!(rig.host.start(spec).await.unwrap_err().code(), "workload.spec");
    }
}
