package synth

import (
	"strconv"
	"time"

	"example.org/cis/transforms/people"
)

// A row appends one JSON object.
type row struct {
	b    []byte
	some bool
}

func (r *row) key(name string) {
	if r.some {
		r.b = append(r.b, ", "...)
	}
	r.some = true
	r.b = append(people.AppendQuoted(r.b, name), ": "...)
}

// text appends a column. Workday leaves out what is empty.
func (r *row) text(name, value string) {
	if value == "" {
		return
	}
	r.key(name)
	r.b = people.AppendQuoted(r.b, value)
}

func (r *row) number(name string, value int) {
	r.key(name)
	r.b = strconv.AppendInt(r.b, int64(value), 10)
}

func (r *row) flag(name string, value bool) {
	r.key(name)
	r.b = strconv.AppendBool(r.b, value)
}

// worker appends the row of a person as Workday's report has it. A second row
// under the same EmployeeID is somebody else's.
func (c *company) worker(b []byte, p *person, t post, start time.Time, second bool) []byte {
	d := t.dice
	r := row{b: append(b, '{')}
	given, family, display, mail := p.given, p.family, p.display, p.mail()
	if second {
		given, family, display, mail = "Robin", "Placeholder", "Robin Placeholder", "placeholder"+strconv.Itoa(p.index)+"@"+domain
	}
	r.text("LastName", family)
	r.text("Preferred_Name", display)
	r.text("PreferredFirstName", given)
	r.text("Preferred_Name_-_Last_Name", family)
	r.text("LegalFirstName", given)
	if p.fault != NoEmployeeID {
		r.text("EmployeeID", p.employeeID())
	}
	role := d.n(len(roles))
	title := grades[d.n(len(grades))] + roles[(role+p.titles)%len(roles)]
	if t.rank == 0 {
		title = "Chief Executive"
	}
	r.text("businessTitle", title)
	manages, directs := t.rank >= 0, t.rank >= 0 && t.rank <= c.bosses/8
	r.text("isBonusEligible", yes(d.n(2) == 0, 0))
	r.text("IsManager", yes(manages, d.n(12)))
	r.text("isDirectorOrAbove", yes(directs, d.n(12)))
	level := "Individual Contributor"
	switch {
	case directs:
		level = "Director"
	case manages:
		level = "Manager"
	}
	r.text("Management_Level", level)
	r.text("HireDate", c.hired(p, start).Format(time.DateOnly))
	switch {
	case p.fault == NotYesOrNo:
		r.text("CurrentlyActive", "maybe")
	case p.day < p.starts:
		r.text("CurrentlyActive", "0")
	default:
		r.text("CurrentlyActive", "1")
	}
	r.text("Entity", map[string]string{"com": "Example Corporation", "org": "Example Foundation"}[p.branch])
	r.text("Team", teamName(t.team))
	r.text("Cost_Center", costCentre(t.centre))
	r.text("Cost_Center_Hierarchy", areas[t.centre%len(areas)])
	kinds := [...][2]string{{"Employee", "Regular"}, {"Employee", "Part-time"}, {"Contractor", "Vendor"}, {"Intern", "Intern"}, {"Seasonal", "Fixed term"}}
	kind := kinds[max(0, d.n(12)-7)]
	if manages {
		kind = kinds[0]
	}
	r.text("WorkerType", kind[0])
	r.text("DetailedWorkerType", kind[1])
	o := offices[t.office%len(offices)]
	location := o.location
	if building := t.office/len(offices) + 1; building > 1 {
		location += ", Building " + strconv.Itoa(building)
	}
	r.text("LocationDescription", location)
	zone := o.zone
	switch roll := d.n(40); {
	case p.part != nil:
	case roll == 0:
		zone = ""
	case roll <= 4:
		zone = zones[d.n(len(zones))]
	}
	r.text("Time_Zone", zone)
	r.text("LocationCity", o.city)
	r.text("LocationCountryFull", o.country)
	r.text("LocationCountryISO2", o.iso)
	if t.boss != nil {
		r.text("WorkersManager", t.boss.display)
		r.text("WorkersManagersEmployeeID", t.boss.employeeID())
		r.text("Worker_s_Manager_s_Email_Address", t.boss.mail())
	}
	if p.kind == field && d.n(2) == 0 {
		mail = "" // not even an address
	}
	if mail != "" && d.n(40) == 0 && p.part == nil {
		mail = string(mail[0]&^0x20) + mail[1:] // typed by hand
	}
	r.text("PrimaryWorkEmail", mail)
	desk := d.n(10_000)
	switch {
	case o.desk != "" && desk%10 < 7:
		r.text("WPRDeskNumber", o.desk+"-"+strconv.Itoa(10_000 + desk)[1:])
	case desk%10 == 9:
		r.key("WPRDeskNumber")
		r.b = append(r.b, `""`...)
	}
	r.text("EgenciaPOSCountry", o.iso)
	switch d.n(5) {
	case 0:
		r.key("PublicEmailAddresses")
		r.b = append(r.b, "[]"...)
	case 1:
		r.key("PublicEmailAddresses")
		r.b = append(people.AppendQuoted(append(r.b, `[{"PublicEmailAddress": `...), "me"+strconv.Itoa(p.index)+"@example.org"), "}]"...)
	}
	return append(r.b, '}')
}

// yes returns a yes or no in one of the forms that Workday's calculated
// fields have; most have the first.
func yes(b bool, form int) string {
	forms := [...][2]string{{"FALSE", "TRUE"}, {"no", "yes"}, {"false", "true"}, {"0", "1"}}
	return forms[max(0, form-8)][count(b)]
}

// hired is the date of the first day.
func (c *company) hired(p *person, start time.Time) time.Time {
	if p.starts > 0 {
		return start.AddDate(0, 0, p.starts)
	}
	d := c.dice(identifying, p.index, 4)
	return start.AddDate(0, 0, -1-d.n(7000))
}
