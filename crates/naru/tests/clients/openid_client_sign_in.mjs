// An application that signs people in with openid-client, strictly: as a public client and with a key of its own.
// Takes a JSON object of what the server is; prints what it learned as JSON.

import { webcrypto } from 'node:crypto'

// Node.js 18 has it, but not as a global.
globalThis.crypto ??= webcrypto

const given = JSON.parse(process.argv[2])
const client = await import(given.module)
const issuer = new URL(given.issuer)
const insecure = { execute: [client.allowInsecureRequests] }
const cookies = new Map()

async function browse(url, options = {}) {
  const jar = [...cookies].map(([name, value]) => `${name}=${value}`).join('; ')
  const headers = { ...options.headers, cookie: jar, accept: 'text/html' }
  const answer = await fetch(url, { ...options, headers, redirect: 'manual' })
  for (const line of answer.headers.getSetCookie()) {
    const [name, value] = line.split(';')[0].split(/=(.*)/s)
    if (value) cookies.set(name, value)
    else cookies.delete(name)
  }
  return answer
}

const unescape = (words) => words.replaceAll('&amp;', '&').replaceAll('&quot;', '"').replaceAll('&lt;', '<')

function form(fields) {
  const headers = { origin: issuer.origin, 'content-type': 'application/x-www-form-urlencoded' }
  return { method: 'POST', headers, body: new URLSearchParams(fields).toString() }
}

async function asked(url) {
  let answer = await browse(url)
  if (answer.status === 200) {
    const request = unescape((await answer.text()).match(/name="request" value="([^"]*)"/)[1])
    answer = await browse(new URL('/application-answer', issuer), form({ request, answer: 'agree' }))
  }
  const refresh = answer.headers.get('refresh')
  return new URL(answer.headers.get('location') ?? refresh.split('url=')[1])
}

async function signIn(config, redirect_uri, scope, extra = {}) {
  const verifier = client.randomPKCECodeVerifier()
  const [state, nonce] = [client.randomState(), client.randomNonce()]
  const code_challenge = await client.calculatePKCECodeChallenge(verifier)
  const url = client.buildAuthorizationUrl(config, {
    redirect_uri, scope, code_challenge, code_challenge_method: 'S256', state, nonce, ...extra,
  })
  const back = await asked(url)
  const checks = { pkceCodeVerifier: verifier, expectedState: state, expectedNonce: nonce, idTokenExpected: true }
  return client.authorizationCodeGrant(config, back, checks)
}

await browse(given.link)

// A command line program: nothing to prove itself by, and a port that it got at random.
const cli = await client.discovery(issuer, 'cli', undefined, client.None(), insecure)
const tokens = await signIn(cli, 'http://127.0.0.1:45678/back', 'openid profile groups')
const claims = tokens.claims()
const userinfo = await client.fetchUserInfo(cli, tokens.access_token, claims.sub)
const renewed = await client.refreshTokenGrant(cli, tokens.refresh_token)

// It shows the first refresh token again much later, as a thief would; the test sets no clock, so that the
// generation after the next is what makes it late.
const again = await client.refreshTokenGrant(cli, renewed.refresh_token)
const reused = await client.refreshTokenGrant(cli, tokens.refresh_token).catch((e) => e.error)
const family = await client.refreshTokenGrant(cli, again.refresh_token).catch((e) => e.error)
const after = await client.fetchUserInfo(cli, again.access_token, claims.sub).catch((e) => e.status ?? e.cause?.[0]?.parameters?.error)

// A server with a key of its own.
const key = await crypto.subtle.importKey(
  'jwk', given.key, { name: 'ECDSA', namedCurve: 'P-256' }, false, ['sign'])
const proof = client.PrivateKeyJwt({ key, kid: given.key.kid })
const api = await client.discovery(issuer, 'api', undefined, proof, insecure)
const own = await client.clientCredentialsGrant(api, { scope: 'reports.read' })
const seen = await client.tokenIntrospection(api, own.access_token)
const signed = await signIn(api, 'https://api.example.com/back', 'openid email', { prompt: 'consent' })
const visible = await client.tokenIntrospection(api, signed.access_token)
await client.tokenRevocation(api, signed.access_token)
const revoked = await client.tokenIntrospection(api, signed.access_token)

// A television.
const tv = await client.discovery(issuer, 'tv', undefined, client.None(), insecure)
const device = await client.initiateDeviceAuthorization(tv, { scope: 'openid profile' })
const page = await (await browse(device.verification_uri_complete)).text()
const let_in = await browse(new URL('/device', issuer), form({ user_code: device.user_code, answer: 'agree' }))
const shown = await client.pollDeviceAuthorizationGrant(tv, { ...device, interval: 0.1 })

const out = await browse(client.buildEndSessionUrl(cli, {
  id_token_hint: tokens.id_token, post_logout_redirect_uri: 'http://127.0.0.1:9/out', state: 'bye',
}))

console.log(JSON.stringify({
  claims, userinfo, reused, family, after, own: own.scope, seen, visible, revoked,
  renewed: renewed.claims().sub === claims.sub,
  device: { asked: page.includes(device.user_code), status: let_in.status, sub: shown.claims().sub },
  out: out.headers.get('location'),
}))
