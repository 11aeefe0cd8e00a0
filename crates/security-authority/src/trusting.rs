//! How to trust the CA, for each kind of client: the page and the command say the same.

use kernel::Lang;

/// One kind of client.
pub struct Way {
    pub title: (&'static str, &'static str),
    /// What to know; empty when the commands say it all.
    pub words: (&'static str, &'static str),
    /// `{url}` and `{file}` stand for the server and for the file with its roots.
    pub commands: &'static [&'static str],
}

/// The file's name in what is shown.
pub const FILE: &str = "naru-ca.pem";

pub const WAYS: &[Way] = &[
    Way {
        title: ("naru and git", "naru와 git"),
        words: (
            "asks for the fingerprint once, keeps the CA for this server alone, and tells git",
            "지문을 한 번 확인하고 이 서버에만 CA를 보관하며 git에도 알려 줍니다",
        ),
        commands: &["naru login {url} --ca-fingerprint {fingerprint}"],
    },
    Way {
        title: ("Debian, Ubuntu", "Debian, Ubuntu"),
        words: ("", ""),
        commands: &[
            "sudo cp {file} /usr/local/share/ca-certificates/naru-ca.crt",
            "sudo update-ca-certificates",
        ],
    },
    Way {
        title: ("Fedora, RHEL, SUSE, Arch", "Fedora, RHEL, SUSE, Arch"),
        words: ("", ""),
        commands: &["sudo trust anchor {file}"],
    },
    Way {
        title: ("macOS", "macOS"),
        words: ("", ""),
        commands: &[
            "sudo security add-trusted-cert -d -r trustRoot -k /Library/Keychains/System.keychain {file}",
        ],
    },
    Way {
        title: ("Windows", "Windows"),
        words: ("in a terminal of an administrator", "관리자 터미널에서"),
        commands: &["certutil -addstore -f Root {file}"],
    },
    Way {
        title: ("Firefox", "Firefox"),
        words: (
            "Settings, Privacy & Security, View Certificates, Authorities, Import; Chrome, Edge and Safari use the system's",
            "설정, 개인 정보 및 보안, 인증서 보기, 인증 기관, 가져오기. Chrome, Edge, Safari는 시스템의 것을 씁니다",
        ),
        commands: &[],
    },
    Way {
        title: ("curl", "curl"),
        words: ("", ""),
        commands: &["curl --cacert {file} {url}/api/v1/ca"],
    },
    Way {
        title: ("git without naru", "naru 없이 git"),
        words: ("", ""),
        commands: &["git config --global http.{url}/.sslCAInfo \"$PWD/{file}\""],
    },
    Way {
        title: ("Python", "Python"),
        words: ("requests reads the second one", "requests는 두 번째를 읽습니다"),
        commands: &[
            "export SSL_CERT_FILE=\"$PWD/{file}\"",
            "export REQUESTS_CA_BUNDLE=\"$PWD/{file}\"",
        ],
    },
    Way {
        title: ("Node.js", "Node.js"),
        words: ("", ""),
        commands: &["export NODE_EXTRA_CA_CERTS=\"$PWD/{file}\""],
    },
    Way {
        title: ("Java", "Java"),
        words: ("", ""),
        commands: &[
            "keytool -importcert -cacerts -alias naru-ca -noprompt -storepass changeit -file {file}",
        ],
    },
];

impl Way {
    pub fn title(&self, lang: Lang) -> &'static str {
        lang.pick(self.title.0, self.title.1)
    }

    pub fn words(&self, lang: Lang) -> &'static str {
        lang.pick(self.words.0, self.words.1)
    }

    /// The commands for a server, its CA's file and fingerprint.
    pub fn commands<'a>(
        &'a self,
        url: &'a str,
        file: &'a str,
        fingerprint: &'a str,
    ) -> impl Iterator<Item = String> + 'a {
        self.commands.iter().map(move |command| {
            let command = command.replace("{url}", url).replace("{file}", file);
            command.replace("{fingerprint}", fingerprint)
        })
    }
}
