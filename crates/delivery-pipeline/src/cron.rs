//! When a schedule is due: the five fields of crontab(5), in a time zone. Pure.
//!
//! Where clocks are put forward, a fixed time that does not exist comes right after the gap; where they are
//! put back, it comes once, the first time. A schedule of every hour follows the hours that really pass.

use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp, Zoned};
use kernel::{Error, Result, Text, Time, text};

/// Days looked ahead: a leap day may be eight years away.
const MAX_DAYS: u32 = 9 * 366;
const MONTHS: [&str; 12] =
    ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const DAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];
/// The short words, and what they stand for.
const WORDS: [(&str, &str); 8] = [
    ("@yearly", "0 0 1 1 *"),
    ("@annually", "0 0 1 1 *"),
    ("@monthly", "0 0 1 * *"),
    ("@weekly", "0 0 * * 0"),
    ("@daily", "0 0 * * *"),
    ("@midnight", "0 0 * * *"),
    ("@noon", "0 12 * * *"),
    ("@hourly", "0 * * * *"),
];

/// A schedule, read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cron {
    minutes: u64,
    hours: u64,
    days: u64,
    months: u64,
    /// Sunday is bit 0.
    weekdays: u64,
    /// The field began with a star: then the other one of day and weekday decides alone.
    any_day: bool,
    any_weekday: bool,
    any_hour: bool,
}

struct Field {
    name: (&'static str, &'static str),
    first: u32,
    last: u32,
    names: &'static [&'static str],
}

impl Cron {
    /// Five fields, or a word such as `@daily`.
    ///
    /// # Errors
    /// `cron.invalid`, naming the field and what it takes.
    pub fn parse(words: &str) -> Result<Cron> {
        let words = words.trim().to_ascii_lowercase();
        let known = WORDS.iter().find(|(word, _)| *word == words);
        let words = known.map_or(&*words, |(_, fields)| fields);
        let fields: Vec<&str> = words.split_whitespace().collect();
        let [minute, hour, day, month, weekday] = fields.as_slice() else {
            return Err(invalid(text!(
                "a schedule has five fields (minute, hour, day, month, weekday) or is a word such as @daily",
                "일정은 다섯 필드(분, 시, 일, 월, 요일)이거나 @daily 같은 단어여야 합니다"
            )));
        };
        let field = |en, ko, first, last, names| Field { name: (en, ko), first, last, names };
        let weekdays = field("weekday", "요일", 0, 7, DAYS.as_slice()).read(weekday)?;
        Ok(Cron {
            minutes: field("minute", "분", 0, 59, &[]).read(minute)?,
            hours: field("hour", "시", 0, 23, &[]).read(hour)?,
            days: field("day", "일", 1, 31, &[]).read(day)?,
            months: field("month", "월", 1, 12, MONTHS.as_slice()).read(month)?,
            // Both 0 and 7 are Sunday.
            weekdays: weekdays | weekdays >> 7 & 1,
            any_day: day.starts_with('*'),
            any_weekday: weekday.starts_with('*'),
            any_hour: hour.starts_with('*'),
        })
    }

    /// The first time after `after` at which it is due; `None` for one that never is, such as on the 31st
    /// of February.
    pub fn next(&self, after: Time, zone: &TimeZone) -> Option<Time> {
        let after = Timestamp::from_millisecond(after.millis()).ok()?;
        let local = after.to_zoned(zone.clone());
        let found = if self.any_hour { self.passing(&local) } else { self.fixed(&local, after) };
        Some(Time(found?.as_millisecond()))
    }

    /// Every hour that passes: minute by minute in real time, on the days that fit.
    fn passing(&self, after: &Zoned) -> Option<Timestamp> {
        let start = after.timestamp().as_second().div_euclid(60) + 1;
        let mut at = Timestamp::from_second(start * 60).ok()?.to_zoned(after.time_zone().clone());
        let mut days = 0;
        while days < MAX_DAYS {
            if !self.fits(at.date()) {
                at = at.date().tomorrow().ok()?.to_zoned(after.time_zone().clone()).ok()?;
                days += 1;
                continue;
            }
            if has(self.hours, at.hour()) && has(self.minutes, at.minute()) {
                return Some(at.timestamp());
            }
            let day = at.date();
            at = at.checked_add(Span::new().minutes(1)).ok()?;
            days += u32::from(at.date() != day);
        }
        None
    }

    /// Fixed times of the day, as the clock on the wall has them.
    fn fixed(&self, after: &Zoned, instant: Timestamp) -> Option<Timestamp> {
        let mut date = after.date();
        for _ in 0..MAX_DAYS {
            if self.fits(date) {
                let mut times = self.times(date).filter_map(|at| {
                    let zoned = after.time_zone().to_ambiguous_zoned(at).compatible().ok()?;
                    Some(zoned.timestamp())
                });
                if let Some(found) = times.find(|at| *at > instant) {
                    return Some(found);
                }
            }
            date = date.tomorrow().ok()?;
        }
        None
    }

    fn times(&self, date: Date) -> impl Iterator<Item = DateTime> + '_ {
        let hours = (0..24_i8).filter(|h| has(self.hours, *h));
        hours.flat_map(move |h| {
            let minutes = (0..60_i8).filter(|m| has(self.minutes, *m));
            minutes.map(move |m| date.at(h, m, 0, 0))
        })
    }

    /// As in crontab(5): with both a day and a weekday, either is enough.
    fn fits(&self, date: Date) -> bool {
        let day = has(self.days, date.day());
        let weekday = has(self.weekdays, date.weekday().to_sunday_zero_offset());
        let on = match (self.any_day, self.any_weekday) {
            (false, false) => day || weekday,
            _ => day && weekday,
        };
        on && has(self.months, date.month())
    }
}

fn has(set: u64, number: i8) -> bool {
    u32::try_from(number).is_ok_and(|n| set & 1_u64.checked_shl(n).unwrap_or(0) != 0)
}

impl Field {
    fn read(&self, words: &str) -> Result<u64> {
        let mut set = 0;
        for part in words.split(',') {
            set |= self.part(part).ok_or_else(|| self.wrong(part))?;
        }
        Ok(set)
    }

    /// `*`, `5`, `1-5`, `*/15`, `1-30/2`, `mon-fri`
    fn part(&self, part: &str) -> Option<u64> {
        let (range, step) = match part.split_once('/') {
            Some((range, step)) => (range, Some(step.parse::<u32>().ok().filter(|s| *s > 0)?)),
            None => (part, None),
        };
        let (first, last) = match range.split_once('-') {
            _ if range == "*" => (self.first, self.last),
            Some((first, last)) => (self.number(first)?, self.number(last)?),
            None => {
                let first = self.number(range)?;
                // `5/15`: from there to the end.
                (first, if step.is_some() { self.last } else { first })
            }
        };
        if first > last {
            return None;
        }
        let each = (first..=last).step_by(usize::try_from(step.unwrap_or(1)).ok()?);
        Some(each.fold(0, |set, n| set | 1_u64.checked_shl(n).unwrap_or(0)))
    }

    fn number(&self, words: &str) -> Option<u32> {
        let named = self.names.iter().position(|name| *name == words);
        // Months count from one, weekdays from nought: as their fields begin.
        let named = named.and_then(|i| Some(u32::try_from(i).ok()? + self.first));
        let number = named.or_else(|| words.parse().ok())?;
        (self.first..=self.last).contains(&number).then_some(number)
    }

    fn wrong(&self, part: &str) -> Error {
        let shown = kernel::shown(part);
        let ((en, ko), first, last) = (self.name, self.first, self.last);
        invalid(text!(
            "“{shown}” is no {en}: numbers from {first} to {last}, ranges, lists and steps are",
            "“{shown}”은(는) {ko} 필드에 쓸 수 없습니다. {first}~{last}의 숫자, 범위, 목록, 간격을 쓰세요"
        ))
    }
}

fn invalid(say: Text) -> Error {
    Error::invalid("cron.invalid", say)
        .hint(Text::fixed("for example `30 4 * * mon-fri`", "예: `30 4 * * mon-fri`"))
}

/// A zone of the IANA database by its name.
///
/// # Errors
/// `timezone.unknown`.
pub fn zone(name: &str) -> Result<TimeZone> {
    if name.eq_ignore_ascii_case("utc") {
        return Ok(TimeZone::UTC);
    }
    TimeZone::get(name).map_err(|_| {
        let shown = kernel::shown(name);
        let say = text!("there is no time zone {shown}", "{shown} 시간대가 없습니다");
        Error::invalid("timezone.unknown", say)
            .hint(Text::fixed("for example `Asia/Seoul`", "예: `Asia/Seoul`"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn next(cron: &str, zone: &str, after: &str) -> String {
        let zone = super::zone(zone).unwrap();
        let after = Time::parse(after).unwrap();
        let found = Cron::parse(cron).unwrap().next(after, &zone);
        found.map_or("never".into(), |at| {
            Timestamp::from_millisecond(at.millis()).unwrap().to_zoned(zone).datetime().to_string()
                + &format!(" {}", at.since(after).as_secs() / 60)
        })
    }

    #[test]
    fn the_next_time_on_the_wall_and_minutes_until_then() {
        for (cron, zone, after, want) in [
            ("0 4 * * *", "UTC", "2026-11-24T04:00:00Z", "2026-11-25T04:00:00 1440"),
            ("0 4 * * *", "UTC", "2026-11-24T03:59:59.999Z", "2026-11-24T04:00:00 0"),
            ("*/15 * * * *", "UTC", "2026-11-24T03:59:59Z", "2026-11-24T04:00:00 0"),
            ("*/15 * * * *", "UTC", "2026-11-24T04:00:00Z", "2026-11-24T04:15:00 15"),
            ("0 9 * * mon-fri", "Asia/Seoul", "2026-11-27T00:00:00Z", "2026-11-30T09:00:00 4320"),
            ("@weekly", "UTC", "2026-11-24T00:00:00Z", "2026-11-29T00:00:00 7200"),
            ("0 0 * * 7", "UTC", "2026-11-24T00:00:00Z", "2026-11-29T00:00:00 7200"),
            // Either of day and weekday.
            ("0 0 1 * tue", "UTC", "2026-11-24T00:00:00Z", "2026-12-01T00:00:00 10080"),
            ("0 0 13 * fri", "UTC", "2026-11-24T00:00:00Z", "2026-11-27T00:00:00 4320"),
            ("0 0 29 feb *", "UTC", "2026-11-24T00:00:00Z", "2028-02-29T00:00:00 664 days"),
            ("0 0 31 2 *", "UTC", "2026-11-24T00:00:00Z", "never"),
            ("*/5 * 31 2 *", "UTC", "2026-11-24T00:00:00Z", "never"),
            // Clocks go from 2:00 to 3:00: what does not exist comes right after.
            ("30 2 * * *", "Europe/Berlin", "2026-03-28T23:00:00Z", "2026-03-29T03:30:00 150"),
            ("30 2 * * *", "Europe/Berlin", "2026-03-29T01:30:00Z", "2026-03-30T02:30:00 1380"),
            ("30 * * * *", "Europe/Berlin", "2026-03-29T00:30:00Z", "2026-03-29T03:30:00 60"),
            // They go back from 3:00 to 2:00: a fixed time comes once, every hour comes twice.
            ("30 2 * * *", "Europe/Berlin", "2026-10-24T23:00:00Z", "2026-10-25T02:30:00 90"),
            ("30 2 * * *", "Europe/Berlin", "2026-10-25T00:30:00Z", "2026-10-26T02:30:00 1500"),
            ("30 * * * *", "Europe/Berlin", "2026-10-25T00:30:00Z", "2026-10-25T02:30:00 60"),
            ("30 * * * *", "Europe/Berlin", "2026-10-25T01:30:00Z", "2026-10-25T03:30:00 60"),
        ] {
            let found = next(cron, zone, after);
            let want = want.replace("664 days", &(462 * 1440).to_string());
            assert_eq!(found, want, "{cron} {zone} {after}");
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (cron, want) in [
            ("* * * *", "five fields"),
            ("60 * * * *", "“60” is no minute"),
            ("* 24 * * *", "“24” is no hour"),
            ("* * 0 * *", "“0” is no day"),
            ("* * * foo *", "“foo” is no month"),
            ("* * * * 5-1", "“5-1” is no weekday"),
            ("*/0 * * * *", "“*/0” is no minute"),
            ("1,,2 * * * *", "“” is no minute"),
            ("@never", "five fields"),
        ] {
            let error = Cron::parse(cron).unwrap_err();
            assert!(error.sentence().en.contains(want), "{cron}: {}", error.sentence().en);
        }
        assert_eq!(super::zone("Mars/Base").unwrap_err().code(), "timezone.unknown");
    }

    proptest! {
        #[test]
        fn the_next_time_is_later_and_nothing_is_between(
            minute in prop::sample::select(vec!["*", "*/7", "0", "5,55", "30-40/3"]),
            hour in prop::sample::select(vec!["*", "*/2", "0", "2", "1-4", "23"]),
            weekday in prop::sample::select(vec!["*", "mon-fri", "0"]),
            zone in prop::sample::select(vec!["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe"]),
            hours in 0..24_i64 * 366,
        ) {
            let cron = Cron::parse(&format!("{minute} {hour} * * {weekday}")).unwrap();
            let zone = super::zone(zone).unwrap();
            let after = Time(1_767_225_600_000 + hours * 3_600_000);
            let found = cron.next(after, &zone).unwrap();
            prop_assert!(found > after);
            // From anywhere before it, it is the next one, too.
            let middle = Time(after.0 + (found.0 - after.0) / 2);
            prop_assert_eq!(cron.next(middle, &zone), Some(found));
        }

        #[test]
        fn any_words_are_read_or_refused(words in "[0-9a-z*/,@ -]{0,30}") {
            if let Ok(cron) = Cron::parse(&words) {
                cron.next(Time(0), &TimeZone::UTC);
            }
        }
    }
}
