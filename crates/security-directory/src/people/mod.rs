//! People, as those who administer this naru see them.

mod act;
pub(crate) mod list;
pub(crate) mod look;
pub(crate) mod person;

pub(crate) use list::{onward, search, tabs as sections_tabs};

use kernel::{Error, Name, text};
use naru_http::{Access, Route};

pub(crate) const ROUTES: &[Route] = &[
    Route::get("/people", Access::Platform, ("page: people", "페이지: 사람"), |c| {
        Box::pin(list::show(c))
    }),
    Route::post("/people", Access::Platform, ("page: invite somebody", "페이지: 초대"), |c| {
        Box::pin(act::invite_new(c))
    }),
    Route::post(
        "/people/rules",
        Access::Platform,
        ("page: change the rules of signing in", "페이지: 로그인 규칙 변경"),
        |c| Box::pin(act::rules(c)),
    ),
    Route::get(
        "/people/{user}",
        Access::Platform,
        ("page: a person", "페이지: 사람 한 명"),
        |c| Box::pin(person::show(c)),
    ),
    Route::post(
        "/people/{user}/{action}",
        Access::Platform,
        (
            "page: invite, disable, enable, promote, demote, reset, offboard or delete a person",
            "페이지: 초대, 비활성화, 활성화, 관리자 지정·해제, 초기화, 퇴사 처리, 삭제",
        ),
        |c| Box::pin(act::page(c)),
    ),
    Route::get("/api/v1/people", Access::Platform, ("search people", "사람 찾기"), |c| {
        Box::pin(list::api(c))
    }),
    Route::get(
        "/api/v1/people/{user}",
        Access::Platform,
        ("a person with what they hold and have", "사람과 그 로그인 수단, 소유물"),
        |c| Box::pin(person::api(c)),
    ),
    Route::post(
        "/api/v1/people/{user}/{action}",
        Access::Platform,
        (
            "invite, disable, enable, promote, demote, reset, offboard or delete a person",
            "초대, 비활성화, 활성화, 관리자 지정·해제, 초기화, 퇴사 처리, 삭제",
        ),
        |c| Box::pin(act::api(c)),
    ),
];

pub(crate) fn unknown(user: &Name) -> Error {
    Error::not_found("user.unknown", text!("there is no user {user}", "{user} 사용자가 없습니다"))
        .hint(text!("`naru user create {user}` makes one", "`naru user create {user}`로 만드세요"))
}
