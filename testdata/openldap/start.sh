#!/bin/sh
# start.sh DIR PORT TLSPORT [LDIF]
#
# Runs a throwaway OpenLDAP server on 127.0.0.1 in the foreground, with its
# database, configuration and log in DIR: ldap:// with StartTLS on PORT,
# ldaps:// on TLSPORT. It ends when the process is killed. Any user may run it;
# it needs slapd (Debian: apt-get install --no-install-recommends slapd).
#
# DIR may hold cert.pem and key.pem; otherwise openssl makes them. LDIF holds
# entries below the suffix dc=example,dc=org, which is there already with
#   cn=reader   reads all of it
#   cn=small    reads all of it, but at most 50 entries a search, 20 a page
#   cn=blind    reads all but what stands below ou=groups
# whose password is "reader-password". Who binds anonymously reads all of it
# under the server's common limit of 500 entries.
set -eu
dir=$1 port=$2 tlsport=$3 ldif=${4:-}
here=$(cd "$(dirname "$0")" && pwd)
PATH=$PATH:/usr/sbin:/usr/local/sbin
schema=${SLAPD_SCHEMA:-/etc/ldap/schema}
suffix=dc=example,dc=org

mkdir -p "$dir"
if [ ! -e "$dir/cert.pem" ]; then
	openssl req -x509 -newkey rsa:2048 -nodes -days 1 -subj /CN=localhost \
		-addext subjectAltName=DNS:localhost,IP:127.0.0.1 \
		-keyout "$dir/key.pem" -out "$dir/cert.pem" 2>"$dir/openssl.log"
fi

cat >"$dir/slapd.conf" <<CONF
include $schema/core.schema
include $schema/cosine.schema
include $schema/nis.schema
include $schema/inetorgperson.schema
include $here/people.schema
modulepath ${SLAPD_MODULES:-/usr/lib/ldap}
moduleload back_mdb
moduleload memberof
pidfile $dir/slapd.pid
argsfile $dir/slapd.args
TLSCertificateFile $dir/cert.pem
TLSCertificateKeyFile $dir/key.pem
sizelimit 500

database mdb
suffix $suffix
rootdn cn=admin,$suffix
rootpw admin-password
directory $dir/db
maxsize 4294967296
dbnosync
index objectClass,entryUUID,uid,mail,cn,member,memberUid eq
overlay memberof
access to attrs=userPassword by anonymous auth by * none
access to dn.children=ou=groups,$suffix by dn.exact=cn=blind,$suffix none by * read
access to * by * read
limits dn.exact=cn=reader,$suffix size=unlimited time=unlimited
limits dn.exact=cn=blind,$suffix size=unlimited time=unlimited
limits dn.exact=cn=small,$suffix size.soft=50 size.hard=50 size.pr=20 size.prtotal=50
CONF

if [ ! -e "$dir/loaded" ]; then
	rm -rf "$dir/db"
	mkdir "$dir/db"
	{
		printf 'dn: %s\nobjectClass: dcObject\nobjectClass: organization\ndc: example\no: example\n' "$suffix"
		for name in reader small blind; do
			printf '\ndn: cn=%s,%s\nobjectClass: organizationalRole\nobjectClass: simpleSecurityObject\ncn: %s\nuserPassword: reader-password\n' \
				"$name" "$suffix" "$name"
		done
	} >"$dir/base.ldif"
	slapadd -q -f "$dir/slapd.conf" -b "$suffix" -l "$dir/base.ldif"
	if [ -n "$ldif" ]; then
		# slapadd does not know the version line of RFC 2849.
		sed '1{/^version:/d;}' "$ldif" | slapadd -q -f "$dir/slapd.conf" -b "$suffix"
	fi
	: >"$dir/loaded"
fi
exec slapd -d 0 -f "$dir/slapd.conf" -h "ldap://127.0.0.1:$port/ ldaps://127.0.0.1:$tlsport/"
