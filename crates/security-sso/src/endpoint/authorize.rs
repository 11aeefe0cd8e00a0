//! The authorization endpoint (OpenID Connect Core 1.0 §3.1.2): a browser comes with what an application asks for,
//! and goes back with a code, or with why not.

use super::discovery::AUTHORIZE;
use super::leave::leave;
use super::wire;
use crate::code::{self, Person};
use crate::kind::Application;
use crate::page::ask;
use crate::plan::Refusal;
use crate::plan::authorize::{self, Asked, Wrong};
use crate::plan::params::Params;
use crate::plan::step::{self, Standing, Step};
use crate::{Sso, consent, grant};
use account::CredentialKind;
use kernel::{Error, Id, Principal, Result, Text};
use naru_http::{Access, Call, Response, Route, found};
use store::Tx;

pub(crate) const ROUTES: &[Route] = &[
    Route::get(
        AUTHORIZE,
        Access::CrossSite,
        ("page: sign in to an application", "페이지: 애플리케이션에 로그인"),
        |c| Box::pin(authorize(c)),
    ),
    Route::post(
        AUTHORIZE,
        Access::CrossSite,
        ("sign in to an application", "애플리케이션에 로그인"),
        |c| Box::pin(posted(c)),
    ),
];

/// Our own parameter: a proof since then satisfies the request.
pub(crate) const SINCE: &str = "naru_since";

/// A request, and the application that it is of.
pub(crate) struct Wanted {
    pub params: Params,
    pub asked: Asked,
    pub app: Application,
    pub uid: Id,
}

async fn authorize(call: Call) -> Result<Response> {
    let sso = call.part::<Sso>()?;
    match read(&call, &sso, call.query_string()).await? {
        Ok(wanted) => go_on(&call, &sso, wanted).await,
        Err(wrong) => refuse(&call, &sso, wrong),
    }
}

/// A form of another site comes without our cookie: as a query it has it (`SameSite=Lax`).
async fn posted(mut call: Call) -> Result<Response> {
    let sso = call.part::<Sso>()?;
    match wire::form(&mut call).await {
        Ok(form) => found(&format!("{AUTHORIZE}?{}", form.query_without(&[]))),
        Err(wire::Fail::Refused(refusal)) => refuse(&call, &sso, Wrong::Here(refusal)),
        Err(wire::Fail::Broken(error)) => Err(error),
    }
}

/// Reads and checks a request.
pub(crate) async fn read(
    call: &Call,
    sso: &Sso,
    query: &str,
) -> Result<std::result::Result<Wanted, Wrong>> {
    let read = Params::read(query).and_then(|params| Ok((authorize::client(&params)?, params)));
    let (client, params) = match read {
        Ok(read) => read,
        Err(refusal) => return Ok(Err(Wrong::Here(refusal))),
    };
    let name = client.clone();
    let found = call.site.store.read(move |v| grant::application(v, &name)).await?;
    let Some((uid, app)) = found.filter(|(_, app)| !app.disabled) else {
        return Ok(Err(Wrong::Here(authorize::unknown().of(&client))));
    };
    let _ = sso;
    Ok(authorize::check(&params, &client, &app).map(|asked| Wanted { params, asked, app, uid }))
}

/// Says what is wrong where it may be said.
pub(crate) fn refuse(call: &Call, sso: &Sso, wrong: Wrong) -> Result<Response> {
    match wrong {
        Wrong::Here(refusal) => {
            sso.refused(&call.who, "application.authorize", &refusal);
            Err(Error::invalid(refusal.code, refusal.say).hint(Text::fixed(
                "the application has sent you here wrongly: tell whoever looks after it",
                "애플리케이션이 잘못 보낸 요청입니다. 그 애플리케이션의 관리자에게 알려 주세요",
            )))
        }
        Wrong::Back(back, refusal) => {
            sso.refused(&call.who, "application.authorize", &refusal);
            let more = [("error", refusal.error), ("error_description", &*refusal.say.en)];
            leave(call, &back, &more, &sso.issuer())
        }
    }
}

/// The person that a browser is signed in as.
pub(crate) async fn person(call: &Call, sso: &Sso) -> Result<Option<Person>> {
    let browser = call.credential.kind == CredentialKind::Session
        && call.credential.scopes.is_all()
        && matches!(call.who, Principal::User(_));
    if !browser {
        return Ok(None);
    }
    let sessions = sso.accounts.sessions(&call.who).await?;
    let session = sessions.into_iter().find(|session| session.id == call.credential.id);
    let person = sso.person(&call.who).await?;
    Ok(session.zip(person).map(|(session, person)| Person {
        who: call.who.clone(),
        sub: person.sub,
        proved: call.credential.proved.unwrap_or(session.created).max(session.created),
        session: session.id,
        how: session.how,
    }))
}

async fn go_on(call: &Call, sso: &Sso, wanted: Wanted) -> Result<Response> {
    let person = person(call, sso).await?;
    let standing = match &person {
        Some(person) => Some(standing(sso, &wanted, person).await?),
        None => None,
    };
    let since = wanted.params.get(SINCE).and_then(|words| words.parse().ok());
    let now = sso.store().now();
    match (step::next(&wanted.asked, standing.as_ref(), since, now), person) {
        (Step::Grant, Some(person)) => give(call, sso, &wanted, person).await,
        (Step::Agree, Some(_)) => Ok(ask::consent(call, &wanted)),
        (Step::Choose, Some(_)) => Ok(ask::account(call, &wanted)),
        (Step::Again, _) => found(&sign_in("/sign-in/again", &wanted, now)),
        (Step::Refuse(refusal), _) => {
            refuse(call, sso, Wrong::Back(Box::new(wanted.asked.back), refusal))
        }
        _ => found(&sign_in("/sign-in", &wanted, now)),
    }
}

/// A page of ours that leads back to the request, which is then satisfied as far as it asked for a sign-in.
pub(crate) fn sign_in(page: &str, wanted: &Wanted, now: kernel::Time) -> String {
    let rest = wanted.params.query_without(&["prompt", SINCE]);
    let kept = if wanted.asked.prompt.consent { "&prompt=consent" } else { "" };
    let fresh = wanted.asked.prompt.login || wanted.asked.max_age.is_some();
    let since = match fresh {
        true => format!("&{SINCE}={}", now.0.div_euclid(1000)),
        false => String::new(),
    };
    let back = format!("{AUTHORIZE}?{rest}{kept}{since}");
    format!("{page}?back={}", web::segment(&back))
}

async fn standing(sso: &Sso, wanted: &Wanted, person: &Person) -> Result<Standing> {
    let agreed = match wanted.app.trusted {
        true => None,
        false => {
            let (who, app, uid) =
                (person.who.clone(), wanted.asked.client.clone(), wanted.uid.clone());
            Some(sso.store().read(move |v| consent::find(v, &who, &app, &uid)).await?)
        }
    };
    let allowed = sso.may(&person.who, &wanted.app);
    Ok(Standing { proved: person.proved, allowed, agreed })
}

/// Makes the code, and sends the browser back with it.
pub(crate) async fn give(
    call: &Call,
    sso: &Sso,
    wanted: &Wanted,
    person: Person,
) -> Result<Response> {
    let (asked, uid) = (wanted.asked.clone(), wanted.uid.clone());
    let code =
        sso.store().write(move |tx: &mut Tx<'_>| code::make(tx, &asked, uid, person)).await?;
    leave(call, &wanted.asked.back, &[("code", &code)], &sso.issuer())
}

/// What a person said on the page that asks.
pub(crate) async fn answered(
    call: &Call,
    sso: &Sso,
    query: &str,
    agrees: bool,
) -> Result<Response> {
    let wanted = match read(call, sso, query).await? {
        Ok(wanted) => wanted,
        Err(wrong) => return refuse(call, sso, wrong),
    };
    let Some(person) = person(call, sso).await? else {
        return found(&sign_in("/sign-in", &wanted, sso.store().now()));
    };
    if !agrees {
        let refusal = Refusal::new(
            "access_denied",
            "sso.declined",
            ("the person did not agree", "사용자가 동의하지 않았습니다"),
        );
        let refusal = refusal.of(&wanted.asked.client);
        return refuse(call, sso, Wrong::Back(Box::new(wanted.asked.back), refusal));
    }
    let (who, app, uid, scopes) = (
        person.who.clone(),
        wanted.asked.client.clone(),
        wanted.uid.clone(),
        wanted.asked.scopes.clone(),
    );
    sso.store().write(move |tx| consent::give(tx, &who, &app, &uid, &scopes)).await?;
    // All else that the request asks for holds as before; what was agreed to is not asked again.
    let mut asked = wanted.asked.clone();
    asked.prompt.consent = false;
    let wanted = Wanted { asked, ..wanted };
    go_on(call, sso, wanted).await
}
