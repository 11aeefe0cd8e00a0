//! Services beside jobs: the machine's own servers, and clients that speak with them.

use crate::shop;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::Stdio;
use std::time::Duration;
use testkit::Naru;

const SERVICES: &str = r#"postgres:
  services: [postgres:15]
  variables: {POSTGRES_USER: ada, POSTGRES_PASSWORD: "it's", POSTGRES_DB: "ships-db"}
  script:
    - export PGPASSWORD="$POSTGRES_PASSWORD"
    - psql -h postgres -U ada -v ON_ERROR_STOP=1 ships-db -c 'create table ships (name text)' -c "insert into ships values ('나루')"
    - psql -h postgres -U ada ships-db -tAc 'select name || version() from ships'
    - if PGPASSWORD=other psql -h postgres -U ada ships-db -c 'select 1'; then exit 1; fi
mysql:
  services: [{name: 'mysql:8', alias: db}]
  variables: {MYSQL_ROOT_PASSWORD: secret-root, MYSQL_DATABASE: ships, MYSQL_USER: ada, MYSQL_PASSWORD: "it's"}
  script:
    - mysql -h db -u ada "-p$MYSQL_PASSWORD" ships -e "create table ships (name text); insert into ships values ('ferry'); select * from ships"
    - mysql -h db -u root -psecret-root -e 'select count(*) from ships.ships'
    - if mysql -h db -u ada -pother ships -e 'select 1'; then exit 1; fi
nginx:
  services: [{name: 'registry.example.com/library/nginx:1.25', alias: web}]
  script: curl -sSf http://web/ | grep 'Welcome to nginx'
memcached:
  services: [memcached:1.6]
  script:
    - exec 3<>/dev/tcp/memcached/11211
    - printf 'set ship 0 60 5\r\nferry\r\nget ship\r\nquit\r\n' >&3
    - grep -a ferry <&3
redis:
  services: [{name: redis:7, command: [redis-server, --maxmemory, 5mb]}]
  script:
    - redis-cli -h redis set ship ferry
    - redis-cli -h redis get ship
    - redis-cli -h redis config get maxmemory | grep 5242880
rabbitmq:
  services: [rabbitmq:3]
  variables: {RABBITMQ_DEFAULT_USER: ada, RABBITMQ_DEFAULT_PASS: secret}
  script: python3 amqp.py rabbitmq ada secret
"#;

/// Signs in to a broker and opens its virtual host (AMQP 0-9-1, §2.2.4).
const AMQP: &str = r#"import socket, struct, sys
host, user, word = sys.argv[1:]
s = socket.create_connection((host, 5672), 20)
def read():
    kind, channel, size = struct.unpack('>BHI', s.recv(7, socket.MSG_WAITALL))
    payload = s.recv(size + 1, socket.MSG_WAITALL)[:-1]
    return struct.unpack('>HH', payload[:4]), payload[4:]
def send(cls, method, args):
    payload = struct.pack('>HH', cls, method) + args
    s.sendall(struct.pack('>BHI', 1, 0, len(payload)) + payload + b'\xce')
short = lambda w: struct.pack('B', len(w)) + w
long = lambda w: struct.pack('>I', len(w)) + w
s.sendall(b'AMQP\x00\x00\x09\x01')
assert read()[0] == (10, 10)
send(10, 11, long(b'') + short(b'PLAIN') + long(f'\0{user}\0{word}'.encode()) + short(b'en_US'))
tune, args = read()
assert tune == (10, 30), 'not let in'
send(10, 31, args)
send(10, 40, short(b'/') + short(b'') + b'\0')
assert read()[0] == (10, 41)
print('the broker is open')
"#;

/// Steps of the newest run with their states and logs.
fn steps(naru: &Naru) -> Vec<(String, String, String)> {
    let runs = naru.json(&["run", "list", "-p", "shop", "--limit", "1"]).unwrap();
    let run = runs[0]["id"].as_str().unwrap();
    let shown = naru.json(&["run", "show", run, "-p", "shop"]).unwrap();
    let step = |step: &serde_json::Value| {
        let name = step["name"].as_str().unwrap().to_owned();
        let log = naru.say(&["run", "log", run, &name, "-p", "shop"]).unwrap();
        (name, step["state"].as_str().unwrap_or("?").to_owned(), log)
    };
    shown["steps"].as_array().unwrap().iter().map(step).collect()
}

#[test]
fn jobs_speak_with_the_machines_own_servers_by_the_names_of_their_images() {
    let naru = shop();
    let files = [(".gitlab-ci.yml", SERVICES), ("amqp.py", AMQP)];
    naru.repository("shop", "web", &files).unwrap().follow().unwrap();
    let steps = steps(&naru);
    assert_eq!(steps.len(), 6);
    for (name, state, log) in &steps {
        assert_eq!(state, "passed", "{name}: {log}");
        assert!(log.contains("is ready at 127."), "{name}: {log}");
    }
    let said = |name: &str| &steps.iter().find(|(step, ..)| step == name).unwrap().2;
    for (name, words) in [
        ("postgres", "나루PostgreSQL 15"),
        ("mysql", "ferry"),
        ("nginx", "Welcome to nginx"),
        ("memcached", "ferry"),
        ("redis", "ferry"),
        ("rabbitmq", "the broker is open"),
    ] {
        assert!(said(name).contains(words), "no {words:?}: {}", said(name));
    }
    assert_eq!(naru.shims(), [0; 0], "services end with their jobs");
}

#[test]
fn a_job_and_its_service_outlive_the_server_that_started_them() {
    let mut naru = shop();
    let ci = "long:
  services: [redis:7]
  script:
    - redis-cli -h redis set ship ferry
    - echo waiting
    - until [ \"$(redis-cli -h redis get go)\" = yes ]; do sleep 0.05; done
    - echo \"afterwards $(redis-cli -h redis get ship)\"
";
    let work = naru.repository("shop", "web", &[(".gitlab-ci.yml", ci)]).unwrap();
    assert!(work.push(&["naru", "main"]).unwrap().0);
    let runs = naru.json(&["run", "list", "-p", "shop"]).unwrap();
    let run = runs[0]["id"].as_str().unwrap().to_owned();
    let log = ["run", "log", &run, "long", "-p", "shop"];
    let mut following = naru.command(&log).stdout(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(following.stdout.take().unwrap()).lines().map(Result::unwrap);
    let seen: Vec<String> = lines.take_while(|line| line != "waiting").collect();
    let address = seen.iter().find_map(|line| line.split("is ready at ").nth(1));
    let address = address.and_then(|rest| rest.split(' ').next());
    let address = address.unwrap_or_else(|| panic!("no address: {seen:?}")).to_owned();
    naru.kill_and_restart().unwrap();
    following.kill().unwrap();
    following.wait().unwrap();

    let mut service = TcpStream::connect(&address).unwrap();
    service.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    service.write_all(b"SET go yes\r\n").unwrap();
    let mut answer = [0; 5];
    service.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"+OK\r\n");
    let words = naru.say(&log).unwrap();
    assert!(words.contains("afterwards ferry"), "{words}");
    assert_eq!(words.matches("ready at").count(), 1, "the service is the same: {words}");
    let shown = naru.json(&["run", "show", &run, "-p", "shop"]).unwrap();
    assert_eq!((&shown["state"], &shown["steps"][0]["attempt"]), (&"passed".into(), &1.into()));
    // It has ended with the job.
    assert_eq!(service.read(&mut answer).unwrap(), 0);
    assert!(TcpStream::connect(&address).is_err());
}
