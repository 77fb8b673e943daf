package synth

// Schema is an OpenLDAP schema file (slapd.conf form) for what people.ldif
// holds beyond core, cosine, nis and inetorgperson, to be included after
// them. sshPublicKey has the identifiers of the OpenSSH-LPK schema; the
// others have ones of the UUID arc 2.25 (ITU-T X.667), which need no registry.
const Schema = `attributetype ( 1.3.6.1.4.1.24552.500.1.1.1.13 NAME 'sshPublicKey'
  DESC 'OpenSSH public key'
  EQUALITY octetStringMatch
  SYNTAX 1.3.6.1.4.1.1466.115.121.1.40 )
objectclass ( 1.3.6.1.4.1.24552.500.1.1.2.0 NAME 'ldapPublicKey' SUP top AUXILIARY
  DESC 'Holds OpenSSH public keys'
  MAY ( sshPublicKey $ uid ) )
attributetype ( 2.25.303287155011187471341264185927465518001.1 NAME 'pgpFingerprint'
  DESC 'Fingerprint of an OpenPGP key'
  EQUALITY caseIgnoreMatch
  SYNTAX 1.3.6.1.4.1.1466.115.121.1.15 )
attributetype ( 2.25.303287155011187471341264185927465518001.2 NAME 'zimbraAlias'
  DESC 'Alias of a mailbox'
  EQUALITY caseIgnoreMatch
  SYNTAX 1.3.6.1.4.1.1466.115.121.1.15 )
attributetype ( 2.25.303287155011187471341264185927465518001.3 NAME 'im'
  DESC 'Handle in a chat'
  EQUALITY caseIgnoreMatch
  SYNTAX 1.3.6.1.4.1.1466.115.121.1.15 )
objectclass ( 2.25.303287155011187471341264185927465518001.4 NAME 'synthPerson' SUP top AUXILIARY
  DESC 'A person of the synthetic company'
  MAY ( pgpFingerprint $ zimbraAlias $ im ) )
`
