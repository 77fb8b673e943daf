package hris

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"
	"time"

	"example.org/cis/transforms/normalize"
	"example.org/cis/transforms/people"
)

// mappingVersion changes whenever equal rows give other observations.
const mappingVersion = "workday 1"

// maxRecord bounds an EmployeeID, in bytes.
const maxRecord = 256

// A column is one that is mapped.
type column int

const (
	employeeID column = iota
	currentlyActive
	workMail
	managerMail
	isManager
	isDirector
	businessTitle
	team
	costCenter
	workerType
	deskNumber
	location
	country
	timeZone
	termination
	numColumns
)

// String returns the column's name in the report.
func (c column) String() string {
	return [...]string{
		employeeID:      "EmployeeID",
		currentlyActive: "CurrentlyActive",
		workMail:        "PrimaryWorkEmail",
		managerMail:     "Worker_s_Manager_s_Email_Address",
		isManager:       "IsManager",
		isDirector:      "isDirectorOrAbove",
		businessTitle:   "businessTitle",
		team:            "Team",
		costCenter:      "Cost_Center",
		workerType:      "WorkerType",
		deskNumber:      "WPRDeskNumber",
		location:        "LocationDescription",
		country:         "EgenciaPOSCountry",
		timeZone:        "Time_Zone",
		termination:     "the termination date",
	}[c]
}

// columns returns the columns by their names in the report. The name of the
// one with the termination date is configured, "" for none.
func columns(terminationField string) map[string]column {
	m := make(map[string]column, numColumns)
	for c := range termination {
		m[c.String()] = c
	}
	if terminationField != "" {
		m[terminationField] = termination
	}
	return m
}

// A mapping turns rows into observations. It holds no state.
type mapping struct {
	terminationField string
	columns          map[string]column
	zones            zones
}

func newMapping(terminationField string) mapping {
	return mapping{terminationField, columns(terminationField), newZones()}
}

// hash identifies what the mapping does.
func (m *mapping) hash() string {
	sum := sha256.Sum256([]byte(mappingVersion + "\x00" + m.terminationField))
	return hex.EncodeToString(sum[:8])
}

// observe maps one row. Without ok the row is set aside and the last rejection
// says why; otherwise the rejections are of single attributes.
func (m *mapping) observe(r row, now time.Time) (o people.Observation, ok bool, rejected []people.Rejection) {
	id, reason := r.record()
	if reason != "" {
		aside := people.Rejection{Reason: reason}
		if mail, _, reason := r.mail(); reason == "" && mail != "" {
			aside.Keys = []people.Key{{Scheme: people.ByEmail, Value: mail}} // whose row it may be
		}
		return people.Observation{}, false, []people.Rejection{aside}
	}
	o = people.Observation{
		Publisher: people.HRIS,
		Record:    id,
		Keys:      []people.Key{{Scheme: people.ByEmployeeID, Value: id}},
		Lifecycle: people.Present,
	}
	if mail, _, reason := r.mail(); reason == "" && mail != "" {
		o.Keys = append(o.Keys, people.Key{Scheme: people.ByEmail, Value: mail})
	}
	ended, badDate := m.ended(r, now)
	switch {
	case r[currentlyActive] == cell{"0", text}:
		// Present, and not here yet: such a row creates nothing and, but for
		// a termination date, ends nothing.
		o.Lifecycle = people.NotYet
	case r[currentlyActive] == cell{"1", text}:
		o.Claims, rejected = m.claims(r, !ended)
	default:
		return people.Observation{}, false, []people.Rejection{{Record: id, Reason: "CurrentlyActive is neither 0 nor 1"}}
	}
	if ended {
		o.Lifecycle = people.Ended
	}
	if badDate != "" {
		rejected = append(rejected, people.Rejection{Attribute: people.Active, Reason: badDate})
		o.Claims = slices.DeleteFunc(o.Claims, func(c people.Claim) bool { return c.Path == people.Active })
	}
	for i := range rejected {
		rejected[i].Record = id
	}
	o.Sort()
	return o, true, rejected
}

// claims maps the attributes of one row, whatever its EmployeeID.
func (m *mapping) claims(r row, active bool) (claims []people.Claim, rejected []people.Rejection) {
	say := func(path people.Path, display string, v people.Value) {
		claims = append(claims, people.Claim{Path: path, Value: v, Display: display})
	}
	aside := func(path people.Path, reason string) {
		rejected = append(rejected, people.Rejection{Attribute: path, Reason: reason})
	}
	// line calls f with what a column says, if it says anything.
	line := func(c column, path people.Path, f func(string)) {
		switch v, said, reason := r.line(c); {
		case reason != "":
			aside(path, reason)
		case said:
			f(v)
		}
	}
	say(people.Active, "", people.BoolValue(active))
	for _, a := range []struct {
		column
		path people.Path
	}{
		{businessTitle, "staff_information.title"},
		{team, "staff_information.team"},
		{workerType, "staff_information.worker_type"},
		{deskNumber, "staff_information.wpr_desk_number"},
		{location, "staff_information.office_location"},
	} {
		line(a.column, a.path, func(v string) { say(a.path, "staff", people.StringValue(v)) })
	}
	line(costCenter, "staff_information.cost_center", func(v string) {
		number, _, _ := strings.Cut(v, " ")
		say("staff_information.cost_center", "staff", people.StringValue(number))
	})
	line(isManager, "staff_information.manager", func(v string) {
		say("staff_information.manager", "staff", people.BoolValue(isYes(v)))
	})
	line(isDirector, "staff_information.director", func(v string) {
		say("staff_information.director", "staff", people.BoolValue(isYes(v)))
	})
	line(employeeID, "staff_information.staff", func(v string) {
		say("staff_information.staff", "public", people.BoolValue(v != ""))
	})
	line(timeZone, "timezone", func(v string) {
		if v == "" {
			return
		}
		value, ok := m.zones.value(v)
		if !ok {
			aside("timezone", "unknown time zone")
			return
		}
		say("timezone", "staff", people.StringValue(value))
	})
	switch mail, _, reason := r.mail(); {
	case reason != "":
		aside(people.PrimaryEmail, reason)
	case mail != "":
		say(people.PrimaryEmail, "", people.StringValue(mail))
	}
	if v, reason := r.access(); reason != "" {
		aside("access_information.hris", reason)
	} else {
		claims = append(claims, people.Claim{Path: "access_information.hris", Empty: v.IsNull(), Value: v})
	}
	return claims, rejected
}

// access returns the value of access_information.hris, null if the row has
// none of it.
func (r *row) access() (people.Value, string) {
	var entries []people.Entry
	for _, e := range []struct {
		column
		key string
	}{
		{employeeID, "employee_id"},
		{workerType, "worker_type"},
		{workMail, "primary_work_email"},
		{managerMail, "managers_primary_work_email"},
		{country, "egencia_pos_country"},
	} {
		v, said, reason := r.line(e.column)
		if e.column == workMail {
			v, said, reason = r.mail()
		}
		if reason != "" {
			return people.Value{}, reason
		}
		if said {
			entries = append(entries, people.Entry{Key: e.key, Value: v})
		}
	}
	if len(entries) == 0 {
		return people.NullValue(true), ""
	}
	return people.MapValue(entries...), ""
}

// record returns the EmployeeID, or why there is none to go by.
func (r *row) record() (id, reason string) {
	id, _, reason = r.line(employeeID)
	switch {
	case reason != "":
		return "", reason
	case id == "":
		return "", "no EmployeeID"
	case len(id) > maxRecord:
		return "", "EmployeeID is over 256 bytes"
	}
	return id, ""
}

// mail returns the work mail in its normal form, "" if it is empty or not
// said.
func (r *row) mail() (v string, said bool, reason string) {
	v, said, reason = r.line(workMail)
	if v == "" {
		return v, said, reason
	}
	if v, err := normalize.Email(v); err == nil {
		return v, true, ""
	}
	return "", false, workMail.String() + " is not an email address"
}

// line returns what a column says, in its normal form, or why it cannot be
// taken.
func (r *row) line(c column) (v string, said bool, reason string) {
	switch r[c].kind {
	case absent:
		return "", false, ""
	case other:
		return "", false, c.String() + " is not a string"
	}
	v, err := normalize.Line(r[c].text)
	if err != nil {
		return "", false, c.String() + " is too long or holds control characters"
	}
	return v, true, ""
}

// isYes reads the yes and no of Workday's several calculated fields.
func isYes(s string) bool {
	switch strings.ToLower(s) {
	case "yes", "true", "t", "1":
		return true
	}
	return false
}

// ended reports whether the worker's termination date has arrived where the
// worker is. The offset is the one in the zone's name, which is that of
// standard time: in summer the date arrives up to an hour late, never early.
// Without a zone it has arrived when it has everywhere.
func (m *mapping) ended(r row, now time.Time) (ended bool, reason string) {
	v, _, reason := r.line(termination)
	if v == "" {
		return false, reason
	}
	date, err := time.Parse(time.DateOnly, v)
	if err != nil {
		return false, "the termination date is not YYYY-MM-DD"
	}
	offset := -12 * time.Hour
	if name, _, _ := r.line(timeZone); name != "" {
		if z, ok := parseZone(name); ok {
			offset = z.offset
		}
	}
	return !now.UTC().Add(offset).Before(date), ""
}
