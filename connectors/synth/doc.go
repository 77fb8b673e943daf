// Package synth makes a company that does not exist, in the formats of the
// sources themselves: people.ldif, as an LDAP server dumps it, workers.json,
// as Workday reports it, github.json, with the organisations of GitHub,
// directory.jsonl, as the people directory sends its profiles, and
// accounts.jsonl, as Auth0 exports its users, for every day from day 0 on. It
// owns what happens there; it knows nothing of how any of them is read.
//
// It refuses to depend on anything but its options: the same people, seed and
// day are the same bytes on any machine and in any order of calls. Nobody is
// kept in a list. A person is a function of seed, index and day, so that a
// company of any size is written as a stream; only the memberships of groups
// and teams are held, in some 16 bytes each.
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
// accounts.jsonl has a user a line. Nearly everybody in LDAP has one under
// ad|Mozilla-LDAP|uid, which comes and goes with the entry there and follows
// its uid. For 1,000 people there are some 150 contributors on top, who are in
// no LDAP and log in with GitHub, Google, a Firefox account or by mail. A few
// have linked a second login.
//
// directory.jsonl has a profile a line, v2 and unsigned, of six people in ten:
// mostly what they say of themselves, in some with echoes of other publishers,
// and a few whole ones with every attribute. Who has no groups says so with
// {}, with null or by leaving them out; a GitHub link that was lost is "". A
// changed uid arrives two days late. Some profiles are nobody's.
//
// github.json has three organisations with members, outside collaborators and
// nested teams, a row a line, and under users the mails that people show. Of
// some 300 accounts three in four are linked, by the people directory or by
// having logged in with them; the others cannot be attached to anybody. Whoever
// leaves the company may stay a member for a month. What profiles say of a
// login at GitHub is what it was when the link was made.
//
// # The days
//
// Of 1,000 people, two or three join, three to five move and one or two leave
// in a day; one or two rows are bad; some are renamed, return, or join and lose
// groups. In the three other sources a dozen more things happen, and another
// row is bad. Everything is in proportion to the size. In no day leave more than
// three or 1 %, whichever is more. Day 0 has no bad rows.
//
// In every size of at least 50 these characters ([Cast]) live through the
// same days, whatever the seed; the last ones are in neither LDAP nor the HRIS:
//
//	 0 Adaeze Okonkwo (aokonkwo): the chief, whom everybody reports to in the end
//	   day 1: org emptied (example-archive)
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
//	   day 4: first login
//	 5 Siobhán O'Brien (sobrien): changes team, and with it manager and cost centre; links GitHub
//	   day 1: moved (team)
//	   day 2: link made
//	 6 Γιώργος Παπαδόπουλος (gpapado): gets another manager
//	   day 3: moved (manager)
//	 7 Marco D’Angelo (mdangelo): the mover of day 2: another title; loses the GitHub link
//	   day 2: moved (title)
//	   day 3: link lost
//	 8 佐藤 花子 (hsato): moves to another office and time zone; has another login at GitHub, which the profile does not follow
//	   day 3: login renamed (hana-sato)
//	   day 4: moved (office)
//	   day 4: team nested (example/build-tools)
//	 9 김민준 (mjkim): is paid by another cost centre
//	   day 2: broken account
//	   day 5: moved (cost centre)
//	10 Chloé Lefèvre-Dubois (clefevre): has a new phone and new keys; leaves a team at GitHub
//	   day 2: team left (example/docs)
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
//	22 Łukasz Brzęczyszczykiewicz (lbrzecz): joins an access group and later loses the other, and so in the people directory
//	   day 2: group joined (vpn)
//	   day 3: directory group joined (nda)
//	   day 5: group lost (wiki-editors)
//	   day 6: directory group left (mentors)
//	23 João Falcão (jfalcao): an external; loses the only group; is in an organisation that is emptied
//	   day 1: org emptied (example-archive)
//	   day 4: last group lost (legal, finance)
//	24 Þór Guðmundsson (thorg): an external; joins a first group, and for some days a second organisation
//	   day 2: org joined (example-labs)
//	   day 3: group joined (vpn)
//	   day 6: org left (example-labs)
//	25 Thandiwe Ndlovu (tndlovu): in platform-admins, which holds platform-oncall, which holds platform-admins; joins a team at GitHub
//	   day 5: team joined (example/docs)
//	26 Sékou N'Diaye (sndiaye): in platform-oncall: see Thandiwe Ndlovu; has usernames from LDAP, GitHub and the people directory
//	   day 4: team nested (example/build-tools)
//	27 Δήμητρα Ξενάκη (dxenaki): is CurrentlyActive "maybe" for a day
//	   day 2: not yes or no
//	   day 4: broken profile
//	28 Иван Черных (ichernykh): has no uid in LDAP for a day
//	   day 3: no uid
//	   day 5: no user id
//	29 ნინო ბერიძე (nberidze): has broken base64 in LDAP for a day
//	   day 2: no github id
//	   day 5: broken base64
//	30 ሰላም ተስፋዬ (stesfaye): has no EmployeeID in the report for a day
//	   day 4: no employee id
//	   day 6: odd value
//	31 فاطمة بن علي (fbenali): shares an EmployeeID with another row for a day
//	   day 3: no profile id
//	   day 6: duplicate id
//	32 Friederike Leutheusser-Schnarrenberger (fleut): has a description of several KB; is Fritzi in the people directory
//	   day 2: name edited (Fritzi)
//	33 Suharto (suharto): has one name only, and chooses it as username
//	   day 2: username chosen (suharto)
//	34 Roberto dell'Acqua (rdellacqua): has quotes and an emoji in the display name; is somebody else in each of the five sources
//	35 Nia Ní Bhriain (nnibhriain): has a description that begins with a space and a colon; shows the mail to more people
//	   day 3: display edited (primary_email)
//	36 Iñigo Güell (iguell): an external, with a plus sign in mail and DN; says in the people directory what is not for it to say
//	   day 4: overreached (primary_email)
//	   day 4: profile edited (fun_title)
//	37 Oksana Honchar (ohonchar): shares the mail with an external; links a Google account
//	   day 2: identity linked
//	38 Petro Honchar (phonchar): an external, with the mail of Oksana Honchar; is blocked for two days
//	   day 3: blocked
//	   day 5: unblocked
//	39 Backup robot (svc-backup): a service account
//	40 Keʻala Kaʻaʻawa (kkaaawa): is announced long before the first day
//	   day 1: pre hired
//	   day 10: joined
//	41 Inês Duarte (github|20000013): helps at GitHub; logs in with it for the first time
//	   day 2: first login
//	42 Tomasz Zieliński (email|e50ceaec8a4e0a67969ca70b49e081da): logs in by mail; is blocked for three days
//	   day 2: blocked
//	   day 5: unblocked
//	43 蔡美玲 (google-oauth2|102112339496722607640): logs in with Google; links a Firefox account, and takes it away again
//	   day 3: identity linked
//	   day 6: identity unlinked
//	44 Anahera Parata (oauth2|firefoxaccounts|31a5c04c23d233bfc793877e179ec98b): logs in with a Firefox account; makes a profile, and chooses a username
//	   day 1: profile made
//	   day 4: username chosen (anahera)
//	45 Kestrel (kestrel-nobody): is known to GitHub only, in an organisation that is emptied
//	   day 1: org emptied (example-archive)
//	46 Lotte Verloren (email|ec2a17e2bffb073d8a7720d552b4aa6b): has a profile under a user_id that nobody has
//	47 Siobhán O'Brien (email|f5193f9257d6a44cb45c1050008fcc16): logs in by mail as well: the same mail, and another account
//	48 Kofi Mensah (github|20000195): helps at GitHub; has the account deleted
//	   day 3: login deleted
//	49 新井 勇気 (google-oauth2|108173242612097492433): logs in with Google; chooses a username that is taken
//	   day 5: username taken (suharto)
package synth
