//! Dates from milliseconds, for names of files.

/// `2026-11-24` for milliseconds since 1970, in UTC.
pub(in crate::state) fn date(wall_millis: f64) -> String {
    // Days since 0000-03-01 in the proleptic calendar, in cycles of 400 years.
    let days = (wall_millis / 86_400_000.0).floor() as i64 + 719_468;
    let cycle = days.div_euclid(146_097);
    let day_of_cycle = days.rem_euclid(146_097);
    let year_of_cycle =
        (day_of_cycle - day_of_cycle / 1460 + day_of_cycle / 36_524 - day_of_cycle / 146_096) / 365;
    let day_of_year =
        day_of_cycle - (365 * year_of_cycle + year_of_cycle / 4 - year_of_cycle / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 {
        month_from_march + 3
    } else {
        month_from_march - 9
    };
    let year = year_of_cycle + cycle * 400 + i64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}")
}

#[cfg(test)]
mod tests {
    use super::date;

    #[test]
    fn days_are_counted_as_calendars_do() {
        let rows = [
            (0.0, "1970-01-01"),
            (86_399_999.0, "1970-01-01"),
            (951_782_400_000.0, "2000-02-29"),
            (951_868_800_000.0, "2000-03-01"),
            (1_795_539_000_000.0, "2026-11-24"),
            (4_107_542_400_000.0, "2100-03-01"),
        ];
        for (millis, expected) in rows {
            assert_eq!(date(millis), expected);
        }
    }
}
