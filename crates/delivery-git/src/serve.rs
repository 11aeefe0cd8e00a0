//! Under way.
pub(crate) const ROUTES: [naru_http::Route; 3] =
    [naru_http::Route::get("/a", naru_http::Access::Inside, ("", ""), |_| {
        Box::pin(async { Ok(naru_http::empty()) })
    }); 3];
