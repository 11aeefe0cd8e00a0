//! `naru service delete`.

use crate::view::{DataLeft, Deleted};
use clap::ArgMatches;
use cli::{Context, Table};
use kernel::{Error, Lang, Result, Text, text};
use serde_json::json;
use std::io::{BufRead, IsTerminal, Write};

/// `path` is the service's address in the API.
pub(crate) async fn delete(context: &Context, matches: &ArgMatches, path: &str) -> Result<()> {
    let name = matches.get_one::<String>("service").cloned().unwrap_or_default();
    let with_data = matches.get_flag("with-data");
    if with_data && !matches.get_flag("yes") {
        confirm(&name, context.lang)?;
    }
    let body = json!({ "with_data": with_data });
    let done: Deleted = context.client()?.post(&format!("{path}/delete"), &body).await?;
    context.output.show(&done, |done, out| {
        let mut table = Table::new([""]);
        table.row([told(done).get(out.lang).to_owned()]);
        table
    })
}

fn told(done: &Deleted) -> Text {
    let name = &done.service;
    match done.data {
        DataLeft::None => text!("{name} deleted", "{name} 삭제함"),
        DataLeft::Kept => text!(
            "{name} deleted; its data stays, and `naru service delete {name} --with-data` removes it",
            "{name} 삭제함. 데이터는 남아 있으며 `naru service delete {name} --with-data`로 지웁니다"
        ),
        DataLeft::Removed => text!(
            "{name} deleted; its data goes with its last instance",
            "{name} 삭제함. 마지막 인스턴스가 끝나면 데이터도 지웁니다"
        ),
    }
}

/// The name has to be typed: what goes is in no backup of naru's.
fn confirm(name: &str, lang: Lang) -> Result<()> {
    if !std::io::stdin().is_terminal() {
        return Err(unconfirmed().hint(Text::fixed(
            "say `--yes` where nobody can be asked",
            "물어볼 사람이 없는 곳에서는 `--yes`를 쓰세요",
        )));
    }
    let ask = match lang {
        Lang::En => format!("The data of {name} will be gone for good. Type its name to go on: "),
        Lang::Ko => format!("{name}의 데이터가 완전히 사라집니다. 계속하려면 이름을 입력하세요: "),
    };
    let mut out = std::io::stderr();
    let _ = out.write_all(ask.as_bytes()).and_then(|()| out.flush());
    let mut typed = String::new();
    let read = std::io::stdin().lock().read_line(&mut typed);
    if read.is_ok() && typed.trim() == name { Ok(()) } else { Err(unconfirmed()) }
}

fn unconfirmed() -> Error {
    Error::conflict(
        "service.unconfirmed",
        Text::fixed(
            "nothing was deleted: nobody confirmed it",
            "확인이 없어 아무것도 지우지 않았습니다",
        ),
    )
}
