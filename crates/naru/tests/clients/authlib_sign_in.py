"""An application that signs people in with Authlib: Basic, PKCE, ID token, userinfo, refresh, its own token, logout.

Takes issuer, client, secret, the address to come back to and a sign-in link; prints what it learned as JSON.
"""

import html
import json
import os
import re
import sys

import requests
from authlib.common.security import generate_token
from authlib.integrations.requests_client import OAuth2Session
from joserfc import jwt
from joserfc.jwk import KeySet

# The server under test speaks plain HTTP on the loopback interface.
os.environ["AUTHLIB_INSECURE_TRANSPORT"] = "1"

issuer, client_id, secret, back, link = sys.argv[1:6]
about = requests.get(f"{issuer}/.well-known/openid-configuration", timeout=20).json()

browser = requests.Session()
browser.get(link, timeout=20)


def asked(url):
    """What a browser comes back with: over the page that asks for consent, when there is one."""
    answer = browser.get(url, allow_redirects=False, timeout=20)
    if answer.status_code == 200:
        request = re.search(r'name="request" value="([^"]*)"', answer.text)
        fields = {"request": html.unescape(request.group(1)), "answer": "agree"}
        headers = {"Origin": issuer}
        answer = browser.post(
            f"{issuer}/application-answer", data=fields, headers=headers, allow_redirects=False, timeout=20
        )
    if answer.status_code == 303:
        return answer.headers["Location"]
    return answer.headers["Refresh"].split("url=", 1)[1]


session = OAuth2Session(
    client_id,
    secret,
    scope="openid profile email groups offline_access",
    redirect_uri=back,
    code_challenge_method="S256",
    token_endpoint_auth_method="client_secret_basic",
)
verifier, nonce = generate_token(48), generate_token(20)
url, state = session.create_authorization_url(
    about["authorization_endpoint"], code_verifier=verifier, nonce=nonce
)
response = asked(url)
token = session.fetch_token(
    about["token_endpoint"], authorization_response=response, code_verifier=verifier, state=state
)

keys = KeySet.import_key_set(requests.get(about["jwks_uri"], timeout=20).json())
decoded = jwt.decode(token["id_token"], keys, algorithms=["RS256", "ES256"])
jwt.JWTClaimsRegistry(
    iss={"essential": True, "value": issuer},
    aud={"essential": True, "value": client_id},
    nonce={"essential": True, "value": nonce},
    exp={"essential": True},
    auth_time={"essential": True},
).validate(decoded.claims)

person = session.get(about["userinfo_endpoint"], timeout=20).json()
renewed = session.refresh_token(about["token_endpoint"], refresh_token=token["refresh_token"])

machine = OAuth2Session(client_id, secret, token_endpoint_auth_method="client_secret_post", scope="reports.read")
own = machine.fetch_token(about["token_endpoint"], grant_type="client_credentials")

out = browser.get(
    about["end_session_endpoint"],
    params={"id_token_hint": renewed["id_token"], "post_logout_redirect_uri": f"{back}/out", "state": "bye"},
    allow_redirects=False,
    timeout=20,
)

print(
    json.dumps(
        {
            "header": decoded.header,
            "claims": decoded.claims,
            "userinfo": person,
            "turned": renewed["refresh_token"] != token["refresh_token"],
            "own": own,
            "iss": re.search(r"[?&]iss=([^&]*)", response).group(1),
            "out": out.headers.get("Location"),
            "after": browser.get(f"{issuer}/api/v1/me", timeout=20).status_code,
        }
    )
)
