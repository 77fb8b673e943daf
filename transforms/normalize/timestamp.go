package normalize

import (
	"errors"
	"regexp"
	"strconv"
	"strings"
	"time"

	"example.org/cis/transforms/people"
)

// The two families of times: generalizedTime of LDAP (RFC 4517, section
// 3.3.13) and RFC 3339 with its common variants: a space for the T, small
// letters, an offset without its colon. "T:10" for "T10" is a slip that the
// older system made in data that is still around.
var (
	generalized = regexp.MustCompile(`^(\d{4})(\d\d)(\d\d)(\d\d)(?:(\d\d)(\d\d)?)?(?:[.,](\d+))?(Z|[+-]\d\d(?:\d\d)?)$`)
	internet    = regexp.MustCompile(`^(\d{4})-(\d\d)-(\d\d)[Tt ]:?(\d\d):(\d\d):(\d\d)(?:[.,](\d+))?([Zz]|[+-]\d\d(?::?\d\d)?)$`)
)

// Timestamp writes a time of either family as [people.TimeFormat]: UTC, with
// three decimals; finer ones are cut off. A time without a zone is an error.
func Timestamp(s string) (string, error) {
	s = strings.TrimSpace(s)
	m := generalized.FindStringSubmatch(s)
	if m == nil {
		m = internet.FindStringSubmatch(s)
	}
	if m == nil {
		return "", errors.New("normalize: time: neither RFC 3339 with a zone nor generalizedTime")
	}
	year, month, day := number(m[1]), number(m[2]), number(m[3])
	hour, minute, second := number(m[4]), number(m[5]), number(m[6])
	// Second 60 is a leap second, which the calendar of time counts as the next minute's first.
	if hour > 23 || minute > 59 || second > 60 {
		return "", errors.New("normalize: time: no such time of day")
	}
	date := time.Date(year, time.Month(month), day, 0, 0, 0, 0, time.UTC)
	if y, mo, d := date.Date(); y != year || int(mo) != month || d != day {
		return "", errors.New("normalize: time: no such day")
	}
	// A fraction is one of the smallest unit that is written: of the hour in 2024010112.5Z.
	unit := time.Second
	switch {
	case m[5] == "":
		unit = time.Hour
	case m[6] == "":
		unit = time.Minute
	}
	fraction, _ := strconv.ParseInt((m[7] + "000000")[:6], 10, 64)
	offset, err := zone(m[8])
	if err != nil {
		return "", err
	}
	t := date.Add(time.Duration(hour)*time.Hour + time.Duration(minute)*time.Minute + time.Duration(second)*time.Second +
		time.Duration(fraction)*(unit/1_000_000) - offset)
	if t.Year() < 0 || t.Year() > 9999 {
		return "", errors.New("normalize: time: beyond the years 0000 to 9999")
	}
	return t.Format(people.TimeFormat), nil
}

// zone returns the offset that "Z", "+01", "+0100" or "+01:00" is from UTC.
func zone(s string) (time.Duration, error) {
	if s == "Z" || s == "z" {
		return 0, nil
	}
	hours, minutes := number(s[1:3]), number(strings.TrimPrefix(s[3:], ":"))
	if hours > 23 || minutes > 59 {
		return 0, errors.New("normalize: time: no such offset")
	}
	d := time.Duration(hours)*time.Hour + time.Duration(minutes)*time.Minute
	if s[0] == '-' {
		return -d, nil
	}
	return d, nil
}

// number reads decimal digits; "" is 0.
func number(digits string) int {
	n, _ := strconv.Atoi(digits)
	return n
}
