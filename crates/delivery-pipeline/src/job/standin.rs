//! Programs of this machine that stand in for well-known images of services. Pure: which program, how it is
//! made ready, and where it listens.
//!
//! Each is a shell script that ends by becoming the program. It finds its address in `NARU_SERVICE_ADDRESS`,
//! an empty directory of its own in `NARU_SERVICE_DATA`, and the image's usual variables; its arguments are
//! the file's `command`.

/// A program that can stand in for an image.
#[derive(Debug, PartialEq, Eq)]
pub struct StandIn {
    /// Last parts of images' names.
    images: &'static [&'static str],
    /// One of these is needed: names looked for in `PATH`, or paths with `*` for one directory.
    pub programs: &'static [&'static str],
    /// Who has it, in Debian.
    pub package: &'static str,
    pub port: u16,
    pub script: &'static str,
}

/// The one for an image, by its name without registry, path and tag.
pub fn find(image: &str) -> Option<&'static StandIn> {
    let name = repository(image).rsplit('/').next().unwrap_or_default();
    TABLE.iter().find(|s| s.images.contains(&name))
}

/// An image's name without tag and digest: `registry:5000/a/b:1@sha256:…` to `registry:5000/a/b`.
pub fn repository(image: &str) -> &str {
    let image = image.split('@').next().unwrap_or_default();
    match image.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => name,
        _ => image,
    }
}

/// The names by which a job finds a service: those given, or those of its image, where `/` is no letter of
/// a host's name (https://docs.gitlab.com/ci/services/#accessing-the-services).
pub fn names(image: &str, aliases: &[String]) -> Vec<String> {
    let image = repository(image).split(':').next().unwrap_or_default();
    let given = aliases.iter().flat_map(|a| a.split([' ', ','])).map(str::to_owned);
    let mut names: Vec<String> =
        [image.replace('/', "__"), image.replace('/', "-")].into_iter().chain(given).collect();
    names.retain(|name| !name.is_empty());
    names.dedup();
    names
}

/// Root inside of a sandbox is root of the machine's files, and servers refuse to be it.
macro_rules! script {
    ($body:literal) => {
        concat!(
            r#"set -eu
A=$NARU_SERVICE_ADDRESS D=$NARU_SERVICE_DATA
unset PGPORT PGHOST PGDATA PGUSER PGDATABASE PGPASSWORD
NOBODY='setpriv --reuid=65534 --regid=65534 --clear-groups --'
[ "$(id -u)" = 0 ] && chown 65534:65534 "$D" || NOBODY=
cd "$D"
"#,
            $body
        )
    };
}

static TABLE: &[StandIn] = &[
    StandIn {
        images: &["postgres", "postgresql", "postgis", "pgvector", "timescaledb"],
        programs: &["/usr/lib/postgresql/*/bin/postgres", "postgres"],
        package: "postgresql",
        port: 5432,
        script: script!(
            r#"for bin in /usr/lib/postgresql/*/bin; do [ -d "$bin" ] && PATH=$bin:$PATH; done
user=${POSTGRES_USER:-postgres} db=${POSTGRES_DB:-${POSTGRES_USER:-postgres}}
auth=scram-sha-256
[ -n "${POSTGRES_PASSWORD:-}" ] && [ "${POSTGRES_HOST_AUTH_METHOD:-}" != trust ] || auth=trust
umask 077; printf '%s\n' "${POSTGRES_PASSWORD:-unused}" > "$D/pw"
[ -z "$NOBODY" ] || chown 65534:65534 "$D/pw"
$NOBODY initdb --no-sync -D "$D/pg" -U "$user" --pwfile="$D/pw" --auth-local=trust --auth-host=$auth \
  --encoding=UTF8 --locale=C.UTF-8 ${POSTGRES_INITDB_ARGS:-} > initdb.out 2>&1 || { cat initdb.out; exit 1; }
rm "$D/pw"
if [ "$db" != postgres ]; then
  printf 'CREATE DATABASE "%s";\n' "$(printf %s "$db" | sed 's/"/""/g')" |
    $NOBODY postgres --single -D "$D/pg" -c fsync=off postgres > /dev/null
fi
[ "${1:-}" != postgres ] || shift
exec $NOBODY postgres -D "$D/pg" -h "$A" -p 5432 -k "$D" -c fsync=off -c full_page_writes=off "$@"
"#
        ),
    },
    StandIn {
        images: &["mysql", "mariadb", "mysql-server", "percona"],
        programs: &["mariadbd", "mysqld", "/usr/sbin/mariadbd", "/usr/sbin/mysqld"],
        package: "mariadb-server",
        port: 3306,
        script: script!(
            r#"PATH=$PATH:/usr/sbin
q() { printf %s "$1" | sed "s/[\\\\']/\\\\&/g"; }
n() { printf %s "$1" | sed 's/`/``/g'; }
root=$(q "${MARIADB_ROOT_PASSWORD:-${MYSQL_ROOT_PASSWORD:-}}")
db=${MARIADB_DATABASE:-${MYSQL_DATABASE:-}} user=${MARIADB_USER:-${MYSQL_USER:-}}
pass=$(q "${MARIADB_PASSWORD:-${MYSQL_PASSWORD:-}}")
{
  echo "CREATE USER IF NOT EXISTS 'root'@'%' IDENTIFIED BY '$root';"
  echo "ALTER USER 'root'@'localhost' IDENTIFIED BY '$root';"
  echo "GRANT ALL ON *.* TO 'root'@'%' WITH GRANT OPTION;"
  [ -z "$db" ] || echo "CREATE DATABASE IF NOT EXISTS \`$(n "$db")\`;"
  if [ -n "$user" ] && [ "$user" != root ]; then
    echo "CREATE USER '$(q "$user")'@'%' IDENTIFIED BY '$pass';"
    [ -z "$db" ] || echo "GRANT ALL ON \`$(n "$db")\`.* TO '$(q "$user")'@'%';"
  fi
} > init.sql
[ -z "$NOBODY" ] || chown 65534:65534 init.sql
if command -v mariadb-install-db > /dev/null; then
  $NOBODY mariadb-install-db --no-defaults --datadir="$D/my" --skip-test-db \
    --auth-root-authentication-method=normal > install.out 2>&1 || { cat install.out; exit 1; }
  server=mariadbd
else
  $NOBODY mysqld --no-defaults --initialize-insecure --datadir="$D/my"; server=mysqld
fi
case "${1:-}" in mysqld | mariadbd) shift ;; esac
exec $NOBODY $server --no-defaults --datadir="$D/my" --bind-address="$A" --port=3306 --socket="$D/s" \
  --pid-file="$D/pid" --init-file="$D/init.sql" --innodb-flush-log-at-trx-commit=0 "$@"
"#
        ),
    },
    StandIn {
        images: &["redis", "valkey", "redis-stack-server"],
        programs: &["redis-server", "valkey-server"],
        package: "redis-server",
        port: 6379,
        script: script!(
            r#"server=redis-server; command -v redis-server > /dev/null || server=valkey-server
case "${1:-}" in redis-server | valkey-server) shift ;; esac
[ -z "${REDIS_PASSWORD:-}" ] || set -- --requirepass "$REDIS_PASSWORD" "$@"
exec $NOBODY $server --bind "$A" --port 6379 --protected-mode no --dir "$D" --save '' --appendonly no "$@"
"#
        ),
    },
    StandIn {
        images: &["memcached"],
        programs: &["memcached"],
        package: "memcached",
        port: 11211,
        script: script!(
            r#"[ "${1:-}" != memcached ] || shift
exec $NOBODY memcached -l "$A" -p 11211 "$@"
"#
        ),
    },
    StandIn {
        images: &["nginx"],
        programs: &["nginx", "/usr/sbin/nginx"],
        package: "nginx-light",
        port: 80,
        script: script!(
            r#"PATH=$PATH:/usr/sbin
cat > nginx.conf <<END
daemon off; master_process off; pid $D/pid; error_log stderr;
events {}
http {
  access_log off;
  client_body_temp_path $D; proxy_temp_path $D; fastcgi_temp_path $D; uwsgi_temp_path $D; scgi_temp_path $D;
  server { listen $A:80; root /usr/share/nginx/html; }
}
END
exec nginx -c "$D/nginx.conf" -e stderr
"#
        ),
    },
    StandIn {
        images: &["rabbitmq"],
        programs: &["rabbitmq-server", "/usr/sbin/rabbitmq-server"],
        package: "rabbitmq-server",
        port: 5672,
        script: script!(
            r#"PATH=$PATH:/usr/sbin
for bin in /usr/lib/rabbitmq/lib/*/sbin; do [ -d "$bin" ] && PATH=$bin:$PATH; done
cat > rabbit.conf <<END
listeners.tcp.1 = $A:5672
default_user = ${RABBITMQ_DEFAULT_USER:-guest}
default_pass = ${RABBITMQ_DEFAULT_PASS:-guest}
default_vhost = ${RABBITMQ_DEFAULT_VHOST:-/}
loopback_users = none
END
[ -z "$NOBODY" ] || chown -R 65534:65534 .
# Nodes of Erlang talk to each other at ports of the whole machine; this one has its own, by its address.
P=$(echo "$A" | { IFS=. read -r _ _ b c; echo $((10000 + (b * 256 + c) % 11000)); })
export HOME=$D RABBITMQ_NODENAME=naru@localhost RABBITMQ_MNESIA_BASE=$D/db RABBITMQ_LOGS=- RABBITMQ_LOG_BASE=$D \
  RABBITMQ_CONFIG_FILE=$D/rabbit RABBITMQ_ENABLED_PLUGINS_FILE=$D/plugins \
  ERL_EPMD_ADDRESS=127.0.0.1 ERL_EPMD_PORT=$P RABBITMQ_DIST_PORT=$((P + 11000)) \
  RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS='-kernel inet_dist_use_interface {127,0,0,1}'
exec $NOBODY rabbitmq-server
"#
        ),
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_have_stand_ins_and_names() {
        let package = |image| find(image).map(|s| s.package);
        for image in ["postgres", "postgres:15-alpine", "r.example.com:5000/a/postgis:3@sha256:0"] {
            assert_eq!(package(image), Some("postgresql"), "{image}");
        }
        assert_eq!(package("docker.io/library/redis:7"), Some("redis-server"));
        assert_eq!(package("docker:dind"), None);
        let names = |image: &str, aliases: &[&str]| {
            super::names(image, &aliases.iter().map(|a| (*a).to_owned()).collect::<Vec<_>>())
        };
        assert_eq!(names("postgres:15", &[]), ["postgres"]);
        assert_eq!(names("a/b:1", &["db, main"]), ["a__b", "a-b", "db", "main"]);
    }

    #[test]
    fn every_script_is_one_that_a_shell_reads() {
        for stand_in in TABLE {
            let read =
                std::process::Command::new("sh").args(["-n", "-c", stand_in.script]).output();
            let complaint = String::from_utf8(read.unwrap().stderr).unwrap();
            assert_eq!(complaint, "", "{:?}", stand_in.images);
        }
    }
}
