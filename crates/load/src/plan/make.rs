//! From what the file says to scenarios, flows and steps.

use super::how::{short_form, word};
use super::{CheckInfo, GRACE, How, RequestInfo, Rows, Scenario, Step, With};
use crate::file::{self, Order, Test};
use crate::limits;
use crate::read::{Source, join, nearest};
use crate::template::{BUILTINS, Known, Slot, Template};
use kernel::{Error, Result, Text, text};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

pub(super) struct Maker<'a> {
    pub(super) source: &'a Source,
    pub(super) requests: Vec<RequestInfo>,
    pub(super) checks: Vec<CheckInfo>,
    pub(super) data: Vec<Rows>,
    pub(super) known: BTreeMap<String, Known>,
    pub(super) steps: usize,
}

/// What the steps of one scenario are compiled in.
pub(super) struct Inside<'a> {
    pub(super) scenario: usize,
    pub(super) tags: BTreeMap<String, String>,
    pub(super) known: BTreeMap<String, Known>,
    pub(super) slots: Vec<String>,
    pub(super) test: &'a Test,
}

impl<'a> Maker<'a> {
    pub(super) fn wrong(&self, path: &str, say: Text) -> Error {
        self.source.wrong(path, say)
    }

    /// Variables and data.
    pub(super) fn learn(&mut self, with: &With<'_>) -> Result<()> {
        for (name, builtin) in BUILTINS {
            self.known.insert(name.to_owned(), Known::Later(Slot::Builtin(builtin)));
        }
        for (name, value) in &self.source.test.variables {
            self.known.insert(name.clone(), Known::Fixed(value.0.clone()));
        }
        for (name, value) in &with.variables {
            self.known.insert(name.clone(), Known::Fixed(value.clone()));
        }
        for (name, data) in &self.source.test.data {
            let path = join("data", name);
            let (columns, rows) = self.rows(&path, data, with)?;
            for (i, column) in columns.iter().enumerate() {
                let slot = Known::Later(Slot::Data(self.data.len(), i));
                self.known.insert(format!("{name}.{column}"), slot);
            }
            let random = data.order == Order::Random;
            self.data.push(Rows { rows: Arc::new(rows), random });
        }
        Ok(())
    }

    pub(super) fn rows(
        &self,
        path: &str,
        data: &file::Data,
        with: &With<'_>,
    ) -> Result<(Vec<String>, Vec<Vec<String>>)> {
        let (columns, rows) = match (&data.file, data.rows.is_empty()) {
            (Some(file), true) => {
                let words = (with.file)(file).map_err(|e| {
                    let say =
                        text!("{file} cannot be read: {e}", "{file}을(를) 읽을 수 없습니다: {e}");
                    self.wrong(&join(path, "file"), say)
                })?;
                if words.len() as u64 > limits::DATA {
                    let most = limits::DATA;
                    let say = text!(
                        "{file} is larger than {most} bytes",
                        "{file}이(가) {most}바이트를 넘습니다"
                    );
                    return Err(self.wrong(&join(path, "file"), say));
                }
                crate::csv::parse(&words).map_err(|line| {
                    let say = text!(
                        "line {line} of {file} has not as many fields as its first",
                        "{file}의 {line}번째 줄은 필드 수가 첫 줄과 다릅니다"
                    );
                    self.wrong(&join(path, "file"), say)
                })?
            }
            (None, false) => {
                let names: Vec<String> =
                    data.rows.first().map(|r| r.keys().cloned().collect()).unwrap_or_default();
                let row = |row: &BTreeMap<String, file::Word>| -> Option<Vec<String>> {
                    (row.len() == names.len()).then_some(())?;
                    names.iter().map(|n| Some(row.get(n)?.0.clone())).collect()
                };
                let rows = data.rows.iter().enumerate().map(|(i, r)| {
                    row(r).ok_or_else(|| {
                        let say = text!(
                            "this row has not the same names as the first",
                            "이 행의 이름이 첫 행과 다릅니다"
                        );
                        self.wrong(&join(&join(path, "rows"), &i.to_string()), say)
                    })
                });
                (names.clone(), rows.collect::<Result<Vec<_>>>()?)
            }
            _ => {
                let say = text!(
                    "data needs either `file` or `rows`",
                    "data에는 `file`과 `rows` 중 하나가 필요합니다"
                );
                return Err(self.wrong(path, say));
            }
        };
        if rows.is_empty() {
            let say = text!("there are no rows", "행이 없습니다");
            return Err(self.wrong(path, say));
        }
        Ok((columns, rows))
    }

    pub(super) fn scenarios(&mut self) -> Result<Vec<Scenario>> {
        let test = &self.source.test;
        let mut all: Vec<(String, String, file::Scenario)> = test
            .scenarios
            .iter()
            .map(|(name, s)| (name.clone(), join("scenarios", name), s.clone()))
            .collect();
        if let Some(short) = short_form(test) {
            if !all.is_empty() {
                let say = text!(
                    "`vus`, `duration`, `iterations` and `stages` stand in for `scenarios`: use one of both",
                    "`vus`, `duration`, `iterations`, `stages`는 `scenarios`를 대신합니다. 둘 중 하나만 쓰세요"
                );
                return Err(self.wrong("scenarios", say));
            }
            all.push(("default".to_owned(), String::new(), short));
        }
        if all.is_empty() {
            let say = text!("there is no scenario", "시나리오가 없습니다");
            let hint = text!(
                "`scenarios:` holds them by name; `naru load schema` shows what they take",
                "`scenarios:` 아래에 이름별로 쓰세요. 쓸 수 있는 것은 `naru load schema`가 보여 줍니다"
            );
            return Err(self.wrong("", say).hint(hint));
        }
        if all.len() > limits::SCENARIOS {
            let most = limits::SCENARIOS;
            let say = text!("more than {most} scenarios", "시나리오가 {most}개를 넘습니다");
            return Err(self.wrong("scenarios", say));
        }
        let mut out = Vec::new();
        for (i, (name, path, scenario)) in all.iter().enumerate() {
            out.push(self.scenario(i, name, path, scenario)?);
        }
        let vus: u32 = out.iter().fold(0, |sum, s: &Scenario| s.how.vus().saturating_add(sum));
        if vus > limits::VUS {
            let most = limits::VUS;
            let say = text!(
                "{vus} VUs: at most {most} in all",
                "VU {vus}개: 모두 합쳐 {most}개까지입니다"
            );
            return Err(self.wrong("scenarios", say));
        }
        Ok(out)
    }

    pub(super) fn scenario(
        &mut self,
        index: usize,
        name: &str,
        path: &str,
        s: &file::Scenario,
    ) -> Result<Scenario> {
        let how = How::of(s).map_err(|(key, say)| self.wrong(&join(path, key), say))?;
        let test = &self.source.test;
        let mut tags = test.tags.clone();
        tags.extend(s.tags.clone());
        tags.insert("scenario".to_owned(), name.to_owned());
        let mut known = self.known.clone();
        for (name, value) in &s.env {
            known.entry(name.clone()).or_insert_with(|| Known::Fixed(value.0.clone()));
        }
        let mut inside = Inside { scenario: index, tags, known, slots: Vec::new(), test };
        let (steps, at) = match &s.exec {
            Some(exec) if s.steps.is_empty() => match test.flows.get(exec) {
                Some(steps) => (steps, join("flows", exec)),
                None => {
                    let flows: Vec<&str> = test.flows.keys().map(String::as_str).collect();
                    let say = text!("there is no flow `{exec}`", "`{exec}` 플로우가 없습니다");
                    return Err(self.wrong(&join(path, "exec"), say).hint(nearest(exec, &flows)));
                }
            },
            Some(_) => {
                let say = text!(
                    "`exec` and `steps` are one too many",
                    "`exec`와 `steps`는 함께 쓸 수 없습니다"
                );
                return Err(self.wrong(&join(path, "exec"), say));
            }
            None if s.steps.is_empty() => (&test.steps, "steps".to_owned()),
            None => (&s.steps, join(path, "steps")),
        };
        if steps.is_empty() {
            let say = text!("this scenario has no steps", "이 시나리오에는 단계가 없습니다");
            let hint = text!(
                "give it `steps`, or `exec` with the name of a flow",
                "`steps`를 쓰거나, `exec`에 플로우 이름을 쓰세요"
            );
            return Err(self.wrong(path, say).hint(hint));
        }
        let flow = self.flow(&mut inside, steps, &at)?;
        Ok(Scenario {
            name: name.to_owned(),
            executor: word(s.executor),
            how,
            start: s.start_time.map_or(Duration::ZERO, |t| t.0),
            grace: s.graceful_stop.map_or(GRACE, |t| t.0),
            flow,
            slots: inside.slots.len(),
        })
    }

    pub(super) fn flow(
        &mut self,
        inside: &mut Inside<'_>,
        steps: &[file::Step],
        at: &str,
    ) -> Result<Arc<[Step]>> {
        let mut out = Vec::new();
        for (i, step) in steps.iter().enumerate() {
            let at = join(at, &i.to_string());
            self.steps += 1;
            if self.steps > limits::STEPS {
                let most = limits::STEPS;
                let say = text!("more than {most} steps", "단계가 {most}개를 넘습니다");
                return Err(self.wrong(&at, say));
            }
            out.push(match step {
                file::Step::Sleep(pause) => Step::Sleep(*pause),
                file::Step::Request(request) => {
                    Step::Request(Arc::new(self.request(inside, request, &join(&at, "request"))?))
                }
                file::Step::Choose(branches) => {
                    Step::Choose(self.choose(inside, branches, &join(&at, "choose"))?)
                }
            });
        }
        Ok(out.into())
    }

    pub(super) fn choose(
        &mut self,
        inside: &mut Inside<'_>,
        branches: &[file::Branch],
        at: &str,
    ) -> Result<Vec<(f64, Arc<[Step]>)>> {
        let mut sum = 0.0;
        let mut out = Vec::new();
        for (i, branch) in branches.iter().enumerate() {
            let at = join(at, &i.to_string());
            if !(branch.weight.is_finite() && branch.weight > 0.0) {
                let say = text!("a weight is a number above 0", "가중치는 0보다 큰 수입니다");
                return Err(self.wrong(&join(&at, "weight"), say));
            }
            sum += branch.weight;
            out.push((sum, self.flow(inside, &branch.steps, &join(&at, "steps"))?));
        }
        if out.is_empty() {
            return Err(self.wrong(at, text!("nothing to choose from", "고를 것이 없습니다")));
        }
        Ok(out)
    }

    pub(super) fn template(&self, inside: &Inside<'_>, words: &str, at: &str) -> Result<Template> {
        Template::parse(words, &inside.known).map_err(|unknown| match unknown {
            None => self.wrong(at, text!("`${{` has no end", "`${{`이(가) 닫히지 않았습니다")),
            Some(name) => {
                let known: Vec<&str> = inside.known.keys().map(String::as_str).collect();
                let say = text!(
                    "`{name}` is not known: no variable, no column, nothing extracted by an earlier step",
                    "`{name}`을(를) 알 수 없습니다. 변수도, 데이터 열도, 앞 단계에서 추출한 값도 아닙니다"
                );
                self.wrong(at, say).hint(nearest(&name, &known))
            }
        })
    }
}
