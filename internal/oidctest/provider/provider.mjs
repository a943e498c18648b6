// An OpenID provider for tests. The parent writes one JSON request a line to stdin and reads one JSON answer a line from
// stdout; when stdin ends, the parent has gone and so does this process.
import { createServer } from 'node:http';
import { generateKeyPair, randomUUID } from 'node:crypto';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';

console.log = console.info = console.error; // stdout belongs to the answers
const { Provider } = await import('oidc-provider');

const settings = JSON.parse(process.argv[2]);
const generate = promisify(generateKeyPair);
const tokens = new Map(); // resource: what the next token for it is to look like
const counts = new Map(); // path: requests
let keys = [];
let issuer;
let port = 0;
let handle;
let server;

async function addKeys() {
  const [rsa, ec] = await Promise.all([
    generate('rsa', { modulusLength: 2048 }),
    generate('ec', { namedCurve: 'P-256' }),
  ]);
  const jwk = (pair, alg) => ({ ...pair.privateKey.export({ format: 'jwk' }), kid: randomUUID(), use: 'sig', alg });
  keys = [jwk(rsa, 'RS256'), jwk(ec, 'ES256'), ...keys]; // the first one that fits signs, all are published
}

function isOverride(name) {
  return ['aud', 'exp', 'iat', 'iss', 'jti', 'sub', 'scope', 'client_id'].includes(name);
}

function newHandler() {
  const provider = new Provider(issuer, {
    clients: [{
      client_id: settings.client_id,
      client_secret: settings.client_secret,
      grant_types: ['client_credentials'],
      response_types: [],
      redirect_uris: [],
      scope: settings.scopes.join(' ') || undefined,
    }],
    jwks: { keys },
    features: {
      clientCredentials: { enabled: true },
      devInteractions: { enabled: false },
      introspection: { enabled: true },
      resourceIndicators: {
        enabled: true,
        getResourceServerInfo(ctx, resource) {
          const want = tokens.get(resource);
          return {
            scope: '',
            audience: want.audience,
            accessTokenTTL: want.ttl,
            accessTokenFormat: want.opaque ? 'opaque' : 'jwt',
            jwt: want.opaque ? undefined : { sign: { alg: want.alg } },
          };
        },
      },
    },
    scopes: settings.scopes,
    extraTokenClaims(ctx, token) {
      if (!token.resourceServer) {
        return undefined; // a token that no test wished for
      }
      const { claims } = tokens.get(token.resourceServer.identifier());
      return Object.fromEntries(Object.entries(claims).filter(([name, value]) => value !== null && !isOverride(name)));
    },
    formats: {
      customizers: {
        jwt(ctx, token, jwt) {
          const { claims, header } = tokens.get(token.resourceServer.identifier());
          for (const [name, value] of Object.entries(claims).filter(([n]) => isOverride(n))) {
            if (value !== null) {
              jwt.payload[name] = value;
            } else if (name === 'aud') {
              // The provider insists on an audience; one that is not enumerable satisfies it and is not serialised.
              Object.defineProperty(jwt.payload, 'aud', { value: 'none', enumerable: false });
            } else {
              delete jwt.payload[name];
            }
          }
          jwt.header = header;
        },
      },
    },
  });
  return provider.callback();
}

async function listen() {
  server = createServer((request, response) => {
    const path = new URL(request.url, 'http://localhost').pathname;
    counts.set(path, (counts.get(path) ?? 0) + 1);
    handle(request, response);
  });
  await new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, '127.0.0.1', resolve);
  });
  port = server.address().port;
}

const commands = {
  start: async () => {
    await addKeys();
    await listen();
    issuer = `http://127.0.0.1:${port}`;
    handle = newHandler();
    return { issuer };
  },
  token: async ({ resource, token }) => {
    tokens.set(resource, token);
    return {};
  },
  rotate: async () => {
    await addKeys();
    handle = newHandler();
    return {};
  },
  stop: async () => {
    const closed = new Promise((resolve) => { server.close(resolve); });
    server.closeAllConnections();
    await closed;
    return {};
  },
  resume: async () => {
    await listen();
    return {};
  },
  requests: async ({ path }) => ({ requests: counts.get(path) ?? 0 }),
};

for await (const line of createInterface({ input: process.stdin })) {
  let answer;
  try {
    const request = JSON.parse(line);
    answer = await commands[request.command](request);
  } catch (err) {
    answer = { error: String(err?.stack ?? err) };
  }
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}
process.exit(0);
