// Package synth makes a company that does not exist, in the formats of the
// sources themselves: people.ldif, as an LDAP server dumps it, and
// workers.json, as Workday reports it, for every day from day 0 on. It owns
// what happens there; it knows nothing of how either file is read.
//
// It refuses to depend on anything but its options: the same people, seed and
// day are the same bytes on any machine and in any order of calls. Nobody is
// kept in a list. A person is a function of seed, index and day, so that a
// company of any size is written as a stream; only the memberships of groups
// are held, in some 16 bytes each.
//
// # The files
//
// people.ldif (RFC 2849) begins with dc=example and its branches o=com and
// o=org (workers), o=net (externals and service accounts) and ou=groups. People
// are mail=…,o=com,dc=example; service accounts are uid=…,o=net,dc=example.
// Teams are groups by uniqueMember, offices by member, access groups by either
// or by memberUid; everyone holds the offices, some access groups a team, and
// platform-admins and platform-oncall hold one another. [Schema] is what
// OpenLDAP needs to load it, given [Options].Clean.
//
// workers.json is {"Report_Entry": […]} with a row a line; columns that are
// empty are mostly left out.
//
// # The days
//
// Of 1,000 people, two or three join, three to five move and one or two leave
// in a day; one or two rows are bad; some are renamed, return, or join and lose
// groups. Everything is in proportion to the size. In no day leave more than
// three or 1 %, whichever is more. Day 0 has no bad rows.
//
// In every size of at least 50 these characters ([Cast]) live through the
// same days, whatever the seed:
//
//	 0 Adaeze Okonkwo (aokonkwo): the chief, whom everybody reports to in the end
//	 1 Zoë Müller-Lüdenscheidt (zmueller): joins, in both sources at once
//	   day 1: joined
//	 2 王秀英 (wangxy): is announced before the first day
//	   day 0: pre hired
//	   day 2: joined
//	 3 Володимир Шевченко (vshevchenko): works here, and gets an account later
//	   day 3: account opened
//	 4 Nguyễn Hoa (hnguyen): has an account a day before joining
//	   day 3: account opened
//	   day 4: joined
//	 5 Siobhán O'Brien (sobrien): changes team, and with it manager and cost centre
//	   day 1: moved (team)
//	 6 Γιώργος Παπαδόπουλος (gpapado): gets another manager
//	   day 3: moved (manager)
//	 7 Marco D’Angelo (mdangelo): the mover of day 2: another title
//	   day 2: moved (title)
//	 8 佐藤 花子 (hsato): moves to another office and time zone
//	   day 4: moved (office)
//	 9 김민준 (mjkim): is paid by another cost centre
//	   day 5: moved (cost centre)
//	10 Chloé Lefèvre-Dubois (clefevre): has a new phone and new keys
//	   day 3: edited
//	11 John Doe (jdoe): leaves; the mail goes to Jane Doe
//	   day 1: left
//	   day 2: account closed
//	12 Jane Doe (janedoe): joins with the mail that was John Doe's
//	   day 5: joined
//	   day 5: mail recycled
//	13 Rafael Souza (rsouza): leaves; mail and uid go to Renata Souza
//	   day 4: left
//	   day 6: account closed
//	14 Renata Souza (rsouza): joins with the mail and uid that were Rafael Souza's
//	   day 7: joined
//	   day 7: uid recycled
//	15 สมชาย ใจดี (sjaidee): leaves
//	   day 5: left
//	   day 6: account closed
//	16 Katarzyna Woźniak (kwozniak): an external, in LDAP only; leaves
//	   day 2: left
//	17 أحمد الحسن (aalhassan): leaves, and returns as the same person
//	   day 3: left
//	   day 4: account closed
//	   day 6: returned
//	18 נועה כהן (ncohen): is missing from the report for one day
//	   day 4: absent
//	19 Emily Carter (ecarter): takes a married name: sn, displayName, mail, uid and DN change
//	   day 3: renamed (family name)
//	20 अनन्या शर्मा (asharma): gets another uid
//	   day 5: renamed (uid)
//	21 Wilhelmina van 't Hoff (wvanthoff): goes by another first name
//	   day 6: renamed (first name)
//	22 Łukasz Brzęczyszczykiewicz (lbrzecz): joins an access group and later loses the other
//	   day 2: group joined (vpn)
//	   day 5: group lost (wiki-editors)
//	23 João Falcão (jfalcao): an external; loses the only group
//	   day 4: last group lost (legal, finance)
//	24 Þór Guðmundsson (thorg): an external; joins a first group
//	   day 3: group joined (vpn)
//	25 Thandiwe Ndlovu (tndlovu): in platform-admins, which holds platform-oncall, which holds platform-admins
//	26 Sékou N'Diaye (sndiaye): in platform-oncall: see Thandiwe Ndlovu
//	27 Δήμητρα Ξενάκη (dxenaki): is CurrentlyActive "maybe" for a day
//	   day 2: not yes or no
//	28 Иван Черных (ichernykh): has no uid in LDAP for a day
//	   day 3: no uid
//	29 ნინო ბერიძე (nberidze): has broken base64 in LDAP for a day
//	   day 5: broken base64
//	30 ሰላም ተስፋዬ (stesfaye): has no EmployeeID in the report for a day
//	   day 4: no employee id
//	31 فاطمة بن علي (fbenali): shares an EmployeeID with another row for a day
//	   day 6: duplicate id
//	32 Friederike Leutheusser-Schnarrenberger (fleut): has a description of several KB
//	33 Suharto (suharto): has one name only
//	34 Roberto dell'Acqua (rdellacqua): has quotes and an emoji in the display name
//	35 Nia Ní Bhriain (nnibhriain): has a description that begins with a space and a colon
//	36 Iñigo Güell (iguell): an external, with a plus sign in mail and DN
//	37 Oksana Honchar (ohonchar): shares the mail with an external
//	38 Petro Honchar (phonchar): an external, with the mail of Oksana Honchar
//	39 Backup robot (svc-backup): a service account
//	40 Keʻala Kaʻaʻawa (kkaaawa): is announced long before the first day
//	   day 1: pre hired
//	   day 10: joined
package synth
