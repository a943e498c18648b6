"""An authenticator for Realmgate: it lets in those principals of the directory whose seal was made with a key. See README.md."""
import asyncio, base64, datetime, hashlib, hmac, itertools, json, os, sys

import grpc
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

import status_pb2
from realmgate.plugin.v1 import kinds_pb2, nouns_pb2, plugin_pb2, session_pb2

MAX = 4 << 20  # bytes of a message that each side accepts
PATIENCE = 2  # seconds that a question waits for the session
KIND, TYPE = nouns_pb2.KIND_AUTHENTICATOR, "seal"
SCHEMA = {
    "$schema": "https://json-schema.org/draft/2020-12/schema", "type": "object", "additionalProperties": False, "required": ["key"],
    "properties": {
        "key": {"type": "string", "format": "realmgate-secret-ref", "description": "the key of the seals"},
        "attribute": {"type": "string", "description": "attribute of a principal that has its seal", "default": "seal"},
    },
}
Failure = nouns_pb2.Failure


def log(level, message, **fields):
    line = {"@level": level, "@message": message, "@timestamp": datetime.datetime.now(datetime.timezone.utc).isoformat(), **fields}
    print(json.dumps(line), file=sys.stderr, flush=True)


class Denied(Exception):  # the caller is at fault; with the Denial
    pass


class Failed(Exception):  # the plugin, or what it needs, is at fault; with the message, and the code of the Failure if it has one
    pass


def forbid(reason, detail):
    return Denied(nouns_pb2.Denial(reason=reason, detail=detail, status=nouns_pb2.Denial.STATUS_FORBIDDEN))


class Seal:  # one configured instance
    def __init__(self, settings):
        self.key, self.attribute = settings["key"], settings.get("attribute", SCHEMA["properties"]["attribute"]["default"])

    async def authenticate(self, credential, ask):
        principal = await ask(find_principal=session_pb2.FindPrincipal(ref=credential.principal))
        if not principal.enabled:
            raise forbid("principal_disabled", "the principal is disabled")
        key = await ask(resolve_secret=session_pb2.ResolveSecret(reference=self.key))
        if not key.value:
            raise Failed("the key of the seals is empty")
        want = hmac.new(key.value, principal.name.encode(), hashlib.sha256).hexdigest()
        if not hmac.compare_digest(want.encode(), principal.attributes[self.attribute].encode()):
            raise forbid("seal_invalid", "the principal has no valid seal")
        return principal


class Session:  # the stream on which the plugin asks the host
    def __init__(self):
        self.out, self.opened, self.waiting, self.ids = None, asyncio.Event(), {}, itertools.count(1)

    async def open(self, requests, context):
        if self.out:
            self.out.put_nowait(None)  # the host reconnects: this stream replaces the one before
        self.lost()
        out = self.out = asyncio.Queue()
        self.opened.set()

        async def read():
            try:
                async for request in requests:
                    for reply in request.replies:
                        answer = self.waiting.get(reply.id)
                        if answer and not answer.done():  # nobody waits any more for what was given up
                            answer.set_result(reply)
            finally:  # also behind bytes that are no message
                out.put_nowait(None)

        reader = asyncio.create_task(read())
        try:
            while response := await out.get():
                yield response
        finally:
            reader.cancel()
            if self.out is out:  # and no other stream has replaced it
                self.out = None
                self.opened.clear()
                self.lost()

    def lost(self):
        for answer in self.waiting.values():
            if not answer.done():
                answer.set_exception(Failed("the session with the host was lost"))

    async def ask(self, call, left, **question):
        if not call.call_id:
            raise Failed("this call may not ask the host")
        asked = next(self.ids)
        try:
            await asyncio.wait_for(self.opened.wait(), min(left, PATIENCE))
            answer = self.waiting[asked] = asyncio.get_running_loop().create_future()
            self.out.put_nowait(session_pb2.OpenResponse(calls=[session_pb2.HostCall(
                id=asked, call_id=call.call_id, instance_id=call.instance_id, timeout_us=max(1, int(left * 1e6)), **question)]))
            reply = await asyncio.wait_for(answer, left)
        except asyncio.TimeoutError:
            raise Failed("the host did not answer in time", Failure.CODE_DEADLINE) from None
        finally:
            self.waiting.pop(asked, None)
        answered = reply.WhichOneof("reply")
        if answered == "denial":
            raise Denied(reply.denial)
        if answered not in ("principal", "secret"):  # the code of a failure would speak of the host
            raise Failed("the host: " + (reply.failure.message or "an answer of an unknown kind"))
        return getattr(reply, answered)


class Plugin:
    def __init__(self, session):
        self.session, self.instances = session, {}  # by id

    async def describe(self, request, context):
        return plugin_pb2.DescribeResponse(manifest=plugin_pb2.Manifest(
            name="python-seal", version="1.0.0", session=plugin_pb2.SESSION_MODE_HOST_CALLS, implementations=[plugin_pb2.Implementation(
                kind=KIND, type=TYPE, settings_schema=json.dumps(SCHEMA).encode(), wants=[plugin_pb2.WANT_PRINCIPALS])]))

    async def configure(self, request, context):
        return plugin_pb2.ConfigureResponse(results=[self.build(spec) for spec in request.instances])

    def build(self, spec):
        result = plugin_pb2.InstanceResult(instance_id=spec.instance_id)
        if (spec.kind, spec.type) != (KIND, TYPE):
            result.failure.MergeFrom(Failure(code=Failure.CODE_UNSUPPORTED, message="this part is not offered"))
        elif spec.instance_id in self.instances:
            result.failure.message = "the instance is there already"
        else:
            settings, wrong = read(spec.settings)
            for path, summary in wrong[:100]:
                result.diagnostics.add(severity=plugin_pb2.Diagnostic.SEVERITY_ERROR, path=path, summary=summary)
            if not wrong:
                self.instances[spec.instance_id] = Seal(settings)
        return result

    async def release(self, request, context):
        self.instances = {instance: seal for instance, seal in self.instances.items() if instance not in request.instance_ids}
        return plugin_pb2.ReleaseResponse()

    async def authenticate(self, request, context):
        seal = self.instances.get(request.call.instance_id)
        if seal is None:
            raise Failed("there is no instance %d" % request.call.instance_id, Failure.CODE_UNKNOWN_INSTANCE)
        end = asyncio.get_running_loop().time() + (context.time_remaining() or 30)

        def ask(**question):
            return self.session.ask(request.call, end - asyncio.get_running_loop().time(), **question)

        try:
            return kinds_pb2.AuthenticateResponse(principal=await seal.authenticate(request.credential, ask))
        except Denied as no:
            return kinds_pb2.AuthenticateResponse(denial=no.args[0])


def read(raw):
    """Gives settings, all of which are strings, and what is wrong with them by JSON pointer."""
    try:
        settings = json.loads(raw or b"{}")
    except (ValueError, RecursionError):
        settings = None
    if not isinstance(settings, dict):
        return None, [("", "the settings are no JSON object")]
    known, wrong = SCHEMA["properties"], [("", "the key %s is missing" % key) for key in SCHEMA["required"] if key not in settings]
    for key, value in settings.items():
        if key not in known or not isinstance(value, str):
            wrong.append(("/" + key.replace("~", "~0").replace("/", "~1"), "must be a string" if key in known else "there is no such key"))
    return settings, wrong


def unary(answer, request_type):
    """Makes a handler whose errors are statuses with a Failure as their detail."""
    async def handle(request, context):
        try:
            return await answer(request, context)
        except Failed as failed:
            failure = Failure(message=failed.args[0], code=(failed.args + (Failure.CODE_UNSPECIFIED,))[1])
        except Exception as broken:
            log("error", "a call failed", error=type(broken).__name__)
            failure = Failure(code=Failure.CODE_PANIC, message="the plugin failed, see its log")
        status = status_pb2.Status(code=grpc.StatusCode.INTERNAL.value[0], message=failure.message)
        status.details.add().Pack(failure)
        await context.abort(grpc.StatusCode.INTERNAL, failure.message, (("grpc-status-details-bin", status.SerializeToString()),))

    return grpc.unary_unary_rpc_method_handler(handle, request_type.FromString, lambda response: response.SerializeToString())


def certificate():
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.timezone.utc)
    made = (x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key()).serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(minutes=1)).not_valid_after(now + datetime.timedelta(days=3650))
            .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False).sign(key, hashes.SHA256()))
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()), made


async def main():
    folder = os.environ.get("PLUGIN_UNIX_SOCKET_DIR")
    if os.environ.get("REALMGATE_PLUGIN") != "realmgate.plugin.v1" or not folder:
        sys.exit("This is a plugin of Realmgate, which a daemon starts.")
    socket, over, session = os.path.join(folder, "plugin.sock"), asyncio.Event(), Session()
    plugin = Plugin(session)

    async def shutdown(request, context):
        over.set()
        return b""

    async def healthy(request, context):
        return b"\x08\x01"  # a HealthCheckResponse whose status is SERVING

    async def stdio(request, context):
        await over.wait()  # and nothing is written to the stream

    server = grpc.aio.server(options=[("grpc.max_receive_message_length", MAX), ("grpc.max_send_message_length", MAX)])
    for service, methods in {
        "realmgate.plugin.v1.Plugin": {
            "Describe": unary(plugin.describe, plugin_pb2.DescribeRequest), "Configure": unary(plugin.configure, plugin_pb2.ConfigureRequest),
            "Release": unary(plugin.release, plugin_pb2.ReleaseRequest)},
        "realmgate.plugin.v1.Authenticator": {"Authenticate": unary(plugin.authenticate, kinds_pb2.AuthenticateRequest)},
        "realmgate.plugin.v1.Session": {"Open": grpc.stream_stream_rpc_method_handler(
            session.open, session_pb2.OpenRequest.FromString, lambda response: response.SerializeToString())},
        "grpc.health.v1.Health": {"Check": grpc.unary_unary_rpc_method_handler(healthy)},  # bytes in, bytes out
        "plugin.GRPCController": {"Shutdown": grpc.unary_unary_rpc_method_handler(shutdown)},
        "plugin.GRPCStdio": {"StreamStdio": grpc.unary_stream_rpc_method_handler(stdio)},
    }.items():
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, methods),))
    host, own = os.environ.get("PLUGIN_CLIENT_CERT"), b""
    if host:
        key, made = certificate()
        own = made.public_bytes(serialization.Encoding.DER)
        server.add_secure_port("unix:" + socket, grpc.ssl_server_credentials(
            [(key, made.public_bytes(serialization.Encoding.PEM))], root_certificates=host.encode(), require_client_auth=True))
    else:  # tls = "none"
        server.add_insecure_port("unix:" + socket)
    await server.start()
    print("1|1|unix|%s|grpc|%s" % (socket, base64.b64encode(own).decode().rstrip("=")), flush=True)
    log("debug", "the plugin serves")
    await over.wait()
    await server.stop(1)  # what is under way has this second


asyncio.run(main())
