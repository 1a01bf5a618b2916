//! Numbers as reports write them: three significant digits, thousands apart.

use crate::compare::Spread;

/// Three significant digits, and never an exponent.
pub(super) fn number(value: f64) -> String {
    let magnitude = value.abs();
    match magnitude {
        _ if !value.is_finite() => "-".to_owned(),
        _ if magnitude >= 999.5 => grouped(value),
        _ if magnitude >= 99.95 => format!("{value:.0}"),
        _ if magnitude >= 9.995 => format!("{value:.1}"),
        _ if magnitude >= 0.9995 => format!("{value:.2}"),
        _ if magnitude >= 0.01 => format!("{value:.3}"),
        _ if magnitude == 0.0 => "0".to_owned(),
        _ => format!("{value:.5}"),
    }
}

/// A number of an axis: as short as it can be.
pub(super) fn tick(value: f64) -> String {
    if value.abs() >= 1000.0 {
        return grouped(value);
    }
    let text = format!("{value:.4}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// A count.
pub(super) fn count(value: u64) -> String {
    apart(&value.to_string())
}

/// `1,234`.
fn grouped(value: f64) -> String {
    let digits = apart(&format!("{:.0}", value.abs()));
    if value < 0.0 { format!("-{digits}") } else { digits }
}

fn apart(digits: &str) -> String {
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Bytes in the binary unit that fits.
pub(super) fn bytes(count: u64) -> String {
    let (value, unit) = match count {
        0..0x400 => return format!("{count} B"),
        0x400..0x10_0000 => (count as f64 / 1024.0, "KiB"),
        0x10_0000..0x4000_0000 => (count as f64 / 1_048_576.0, "MiB"),
        _ => (count as f64 / 1_073_741_824.0, "GiB"),
    };
    format!("{} {unit}", number(value))
}

/// Microseconds in the unit that fits.
pub(super) fn microseconds(value: f64) -> String {
    let (scaled, unit) = match value {
        _ if value < 1e3 => (value, "\u{b5}s"),
        _ if value < 1e6 => (value / 1e3, "ms"),
        _ => (value / 1e6, "s"),
    };
    format!("{} {unit}", tick(scaled))
}

/// `2.41 (2.20 to 2.63)`; the median alone where there is only one number.
pub(super) fn spread(spread: Spread) -> String {
    let median = number(spread.median);
    if spread.min == spread.max {
        median
    } else {
        format!("{median} ({} to {})", number(spread.min), number(spread.max))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_digits_tell_enough() {
        let written: Vec<String> =
            [0.0, 0.001_234, 0.0999, 1.0, 9.999, 12.34, 123.4, 999.9, 1_234_567.0, -4.0, f64::NAN]
                .map(number)
                .into();
        assert_eq!(
            written,
            ["0", "0.00123", "0.100", "1.00", "10.0", "12.3", "123", "1,000", "1,234,567", "-4.00", "-"]
        );
    }

    #[test]
    fn units_fit_their_numbers() {
        let sizes = [bytes(12), bytes(2048), bytes(96 << 20), bytes(3 << 29)];
        assert_eq!(sizes, ["12 B", "2.00 KiB", "96.0 MiB", "1.50 GiB"]);
        let times = [microseconds(100.0), microseconds(2500.0), microseconds(1e6)];
        assert_eq!(times, ["100 \u{b5}s", "2.5 ms", "1 s"]);
        assert_eq!([tick(0.5), tick(20.0), tick(0.0), tick(1500.0)], ["0.5", "20", "0", "1,500"]);
        assert_eq!([count(7), count(1000), count(1_234_567)], ["7", "1,000", "1,234,567"]);
    }
}
