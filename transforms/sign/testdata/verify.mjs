// Verifies signed profiles with the npm package jose, which shares no code
// with the signer: node verify.mjs DIR, where DIR/node_modules has jose.
//
// stdin:  {"keys": {"<publisher>": {"keys": [JWK…]}}, "profiles": [profile…]}
// stdout: {"verified": count, "refused": ["<profile>: <path>: <why>"…]}
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join, resolve } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import { pathToFileURL } from 'node:url'

const found = createRequire(join(resolve(process.argv[2]), 'from.js')).resolve('jose')
const { compactVerify, createLocalJWKSet } = await import(pathToFileURL(found))

const { keys, profiles } = JSON.parse(readFileSync(0, 'utf8'))

function* attributes(profile) {
  for (const [name, at] of Object.entries(profile)) {
    if (name === 'schema') continue
    if ('signature' in at) yield [name, at]
    else for (const [second, a] of Object.entries(at)) yield [`${name}.${second}`, a]
  }
}

async function check(person, path, { signature, ...signed }) {
  const { name, value } = signature.publisher
  const { payload, protectedHeader } = await compactVerify(value, createLocalJWKSet(keys[name]), {
    algorithms: ['RS256', 'EdDSA'],
  })
  if (!isDeepStrictEqual(JSON.parse(new TextDecoder().decode(payload)), signed)) throw new Error('payload differs')
  if (protectedHeader.sub !== person || protectedHeader.attr !== path) throw new Error('bound elsewhere')
}

let verified = 0
const refused = []
for (const [i, profile] of profiles.entries()) {
  for (const [path, attribute] of attributes(profile)) {
    if (!attribute.signature.publisher.value) continue
    try {
      await check(profile.uuid.value, path, attribute)
      verified++
    } catch (err) {
      refused.push(`${i}: ${path}: ${err.message}`)
    }
  }
}
console.log(JSON.stringify({ verified, refused }))
