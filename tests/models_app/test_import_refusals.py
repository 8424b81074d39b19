"""Files that are refused, each with a sentence, and nothing is kept of them.

Most are shown to the code that the child process runs, some to the API with the child.
"""

import io
import pickle
import stat
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest
from django.conf import settings
from onnx import TensorProto, helper, numpy_helper
from rest_framework.test import APIClient

from aegisml.base.auth import roles
from models_app import bundles
from models_app.ml.exchange import archives, frames, intake, packages, sandbox
from models_app.ml.exchange.errors import Refused
from models_app.ml.exchange.wishes import Wishes
from models_app.models import ModelVersion
from tests.factories import api_client, make_model
from tests.models_app import files

LIMITS = intake.Limits(names=bundles.FILES)
NAMED = Wishes(signature=files.COLUMNS)
ONNX = files.logistic().SerializeToString()


def take(content: bytes, wishes: Wishes = NAMED, limits: intake.Limits = LIMITS) -> intake.Taken:
    return intake.take_in(io.BytesIO(content), wishes, limits)


def package(**changes: bytes | None) -> bytes:
    """A zip like ours of an imported model; `changes` replace files, None takes one away."""
    taken = take(ONNX)
    content = dict(taken.files)
    manifest = orjson.dumps(
        {"format": 1, "model": "risk", "files": {n: packages_hash(d) for n, d in content.items()}}
    )
    told = {"model": "risk", "version": 1, "algorithm": "external", "parameters": {}}
    target = io.BytesIO()
    packages.write(
        target, manifest=manifest, files=content, told={**told, "metrics": {}, "lineage": {}}
    )
    entries = files.unzipped(target.getvalue())
    entries |= {name: data for name, data in changes.items() if data is not None}
    for name in [name for name, data in changes.items() if data is None]:
        del entries[name]
    return files.zipped(entries)


def packages_hash(data: bytes) -> str:
    return packages.hashlib.sha256(data).hexdigest()


def retold(**changes: Any) -> bytes:
    """A zip like ours whose row tells something else."""
    told = orjson.loads(files.unzipped(package())["version.json"])
    return package(**{"version.json": orjson.dumps({**told, **changes})})


def with_entry(change: Callable[[zipfile.ZipInfo], None], data: bytes = b"x") -> bytes:
    """A zip with MLmodel and one entry made odd."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        archive.writestr("MLmodel", b"flavors: {}")
        entry = zipfile.ZipInfo("model.onnx")
        change(entry)
        archive.writestr(entry, data)
    return target.getvalue()


def named(name: str) -> bytes:
    return with_entry(lambda entry: setattr(entry, "filename", name))


def link(entry: zipfile.ZipInfo) -> None:
    entry.create_system = 3
    entry.external_attr = (stat.S_IFLNK | 0o777) << 16


def encrypted() -> bytes:
    content = bytearray(with_entry(lambda entry: None))
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        place = content.rindex(signature)
        content[place + offset] |= 1
    return bytes(content)


def lying_size(declared: int) -> bytes:
    """A zip whose directory says that an entry holds another number of bytes."""
    content = bytearray(with_entry(lambda entry: None, b"y" * 1000))
    place = content.rindex(b"PK\x01\x02")
    content[place + 24 : place + 28] = struct.pack("<I", declared)
    return bytes(content)


def bomb(size: int = 16 * 1024**2) -> bytes:
    return files.zipped({"MLmodel": b"flavors: {}", "model.onnx": b"\0" * size})


def nested_bomb() -> bytes:
    """Zips in a zip, each of zeros, as 42.zip is."""
    inner = files.zipped({"0.dll": b"\0" * 10**6})
    for _ in range(3):
        inner = files.zipped({f"lib {i}.zip": inner for i in range(16)})
    return inner


def overlapping() -> bytes:
    """Many directory entries over one body."""
    content = with_entry(lambda entry: None, b"z" * 5000)
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        start = archive.start_dir
    entry = content[content.rindex(b"PK\x01\x02") : content.rindex(b"PK\x05\x06")]
    directory = b"".join(entry.replace(b"model.onnx", f"model.{i:04}".encode()) for i in range(300))
    end = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 300, 300, len(directory), start, 0)
    return content[:start] + directory + end


def sandwich() -> bytes:
    return files.zipped({"MLmodel": b"flavors: {}", "data.bin": pickle.dumps(print)})


ZIPS: dict[str, tuple[Callable[[], bytes], str]] = {
    "cut off": (lambda: package()[:-200], "not a whole zip"),
    "cut in its middle": (lambda: package()[:300] + package()[400:], "not a whole zip"),
    "leads up": (lambda: named("../model.onnx"), "leads outside"),
    "leads up on Windows": (lambda: named("..\\model.onnx"), "leads outside|neither manifest"),
    "absolute": (lambda: named("/etc/passwd"), "leads outside"),
    "drive": (lambda: named("C:/model.onnx"), "leads outside"),
    "odd name": (lambda: named("mod\x01el.onnx"), "leads outside"),
    "long name": (lambda: named("a" * 300), "leads outside"),
    "link": (lambda: with_entry(link, b"/etc/passwd"), "link or a device"),
    "encrypted": (encrypted, "encrypted"),
    "other compression": (
        lambda: with_entry(lambda e: setattr(e, "compress_type", zipfile.ZIP_LZMA)), "method",
    ),
    "says too much": (lambda: lying_size(2**31), "says that it holds"),
    "says more than it has": (lambda: lying_size(2000), "another number|not a whole"),
    "says less than it has": (lambda: lying_size(10), "not a whole|another number"),
    "bomb": (bomb, "more than the"),
    "bomb of zips": (nested_bomb, "neither manifest"),
    "bodies over each other": (overlapping, "files; at most|not a whole"),
    "many files": (lambda: files.zipped({f"f{i}": b"" for i in range(201)}), "at most 200"),
    "pickle by its bytes": (sandwich, "is a pickle"),
    "pickle by its name": (
        lambda: files.zipped({"MLmodel": b"", "model.pkl": b"cos\nsystem\n."}), "is a pickle",
    ),
    "neither ours nor MLflow's": (lambda: files.zipped({"a.txt": b"hi"}), "neither manifest"),
}  # fmt: skip


@pytest.mark.parametrize("how", ZIPS)
def test_a_hostile_or_broken_zip_is_refused(how: str) -> None:
    make, sentence = ZIPS[how]
    with pytest.raises(Refused, match=sentence):
        take(make())


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_path_that_stands_twice_is_refused() -> None:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        archive.writestr("manifest.json", b"{}")
        archive.writestr("manifest.json", b"[]")
    with pytest.raises(Refused, match="more than once"):
        take(target.getvalue())


def test_a_total_is_counted_while_it_is_read() -> None:
    small = archives.Limits(file_bytes=1000, total_bytes=1500)
    content = files.zipped({"a": b"x" * 900, "b": b"y" * 900})
    with pytest.raises(Refused, match="b: holds more than the 600 bytes"):
        take(content, limits=intake.Limits(bundles.FILES, small))


PACKAGES: dict[str, tuple[Callable[[], bytes], str]] = {
    "unknown file": (lambda: package(**{"run.sh": b"rm"}), "run.sh: is not a file that a bundle"),
    "file in a folder": (lambda: package(**{"a/card.md": b""}), "a/card.md: is not a file"),
    "file changed": (lambda: package(**{"policy.json": b"{}"}), "policy.json: differs"),
    "file gone": (lambda: package(**{"model.onnx": None}), "model.onnx: is missing"),
    "file that the manifest hasn't": (
        lambda: package(**{"profile.json": b"{}"}), "profile.json: differs",
    ),
    "manifest changed": (lambda: package(**{"manifest.json": b"{}"}), "manifest.json: differs"),
    "no row": (lambda: package(**{"version.json": None}), "has no version.json"),
    "row is no JSON": (lambda: package(**{"version.json": b"{"}), "not valid JSON"),
    "row is a list": (lambda: package(**{"version.json": b"[]"}), "must be a JSON object"),
    "row with NUL": (lambda: retold(model="a\0b"), "NUL"),
    "row that is deep": (
        lambda: package(**{"version.json": b'{"a":' * 500 + b"1" + b"}" * 500}), "nested deeper",
    ),
    "metrics are a number": (lambda: retold(metrics=5), "metrics is missing or of the wrong kind"),
    "a metric is a text": (
        lambda: retold(metrics={"test": {"auroc": "high"}}), r"metrics\.test\.auroc",
    ),
    "a curve is a text": (
        lambda: retold(metrics={"curves": {"roc": "<svg>"}}), r"metrics\.curves\.roc",
    ),
    "lineage is odd": (lambda: retold(lineage={"dataset": []}), r"lineage\.dataset"),
}  # fmt: skip


@pytest.mark.parametrize("how", PACKAGES)
def test_a_zip_of_ours_that_was_changed_is_refused(how: str) -> None:
    make, sentence = PACKAGES[how]
    with pytest.raises(Refused, match=sentence):
        take(make(), Wishes())


def test_a_zip_of_ours_is_taken_as_it_is() -> None:
    assert take(package(), Wishes()).files == take(ONNX).files


def test_a_zip_of_ours_lets_nobody_change_its_signature() -> None:
    with pytest.raises(Refused, match="brings all of this"):
        take(package())


def constant(values: list[Any], shape: list[int], kind: int = files.FLOAT) -> bytes:
    """A graph that scores every row alike."""
    value = helper.make_tensor("value", kind, shape, values)
    nodes = [
        helper.make_node("Constant", [], ["c"], value=value),
        helper.make_node("IsNaN", ["x"], ["missing"]),
        helper.make_node("Where", ["missing", "zero", "x"], ["known"]),
        helper.make_node("MatMul", ["known", "zeros"], ["nought"]),
        helper.make_node("Add", ["nought", "c"], ["y"]),
    ]
    zeros = numpy_helper.from_array(
        files.np.zeros((len(files.COLUMNS), shape[-1]), files.np.float32), "zeros"
    )
    zero = numpy_helper.from_array(files.np.zeros(1, files.np.float32), "zero")
    return graph_of(nodes, [zeros, zero])


def graph_of(nodes: list[Any], tensors: list[Any] = [], inputs: list[Any] | None = None) -> bytes:  # noqa: B006
    graph = helper.make_graph(
        nodes,
        "odd",
        inputs or [helper.make_tensor_value_info("x", files.FLOAT, [None, len(files.COLUMNS)])],
        [helper.make_tensor_value_info("y", files.FLOAT, [None, None])],
        tensors,
    )
    return helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8
    ).SerializeToString()


def two_inputs() -> bytes:
    names = [helper.make_tensor_value_info(n, files.FLOAT, [None, 1]) for n in ("a", "b")]
    return graph_of([helper.make_node("Add", ["a", "b"], ["y"])], inputs=names)


def text_input() -> bytes:
    info = [helper.make_tensor_value_info("x", TensorProto.STRING, [None, 3])]
    return graph_of([helper.make_node("Identity", ["x"], ["y"])], inputs=info)


def noisy() -> bytes:
    nodes = [
        helper.make_node("RandomUniformLike", ["x"], ["noise"]),
        helper.make_node("ReduceMean", ["noise"], ["y"], axes=[1], keepdims=1),
    ]
    return graph_of(nodes)


def mixing_rows() -> bytes:
    """A softmax over the rows instead of the classes."""
    nodes = [
        helper.make_node("Where", ["missing", "zero", "x"], ["known"]),
        helper.make_node("ReduceSum", ["known", "axes"], ["sum"], keepdims=1),
        helper.make_node("Softmax", ["sum"], ["y"], axis=0),
    ]
    tensors = [
        numpy_helper.from_array(files.np.zeros(1, files.np.float32), "zero"),
        numpy_helper.from_array(files.np.asarray([1], files.np.int64), "axes"),
    ]
    return graph_of([helper.make_node("IsNaN", ["x"], ["missing"]), *nodes], tensors)


MODELS: dict[str, tuple[Callable[[], bytes], str]] = {
    "junk": (lambda: b"\x08\xff junk" * 30, "not a whole ONNX model|not an ONNX model"),
    "cut off": (lambda: ONNX[:-40], "ONNX model"),
    "another protocol buffer": (lambda: b"\x08\x01", "not an ONNX model"),
    "text": (lambda: b"hello, this is a model", "ONNX model"),
    "pickle": (lambda: pickle.dumps({"model": 1}), "is a pickle"),
    "the runtime's own format": (lambda: b"\x10\0\0\0ORTM" + b"\0" * 64, "own format"),
    "tensor in another file": (files.with_external_data, "lies in another file"),
    "custom operator": (files.with_custom_operator, "com.example"),
    "Microsoft's operator": (
        lambda: files.logistic(
            nodes=[helper.make_node("FusedGemm", ["x", "weights"], ["g"], domain="com.microsoft")],
            imports=[helper.make_opsetid("com.microsoft", 1)],
        ).SerializeToString(),
        "com.microsoft",
    ),
    "endless": (files.with_loop, "Loop may run without end"),
    "broken graph": (
        lambda: graph_of([helper.make_node("Add", ["x", "nowhere"], ["y"])]), "not a valid ONNX",
    ),
    "fixed rows": (lambda: files.logistic(rows=1).SerializeToString(), "exactly 1 rows"),
    "two inputs": (two_inputs, "2 inputs"),
    "text input": (text_input, "matrix of floats"),
    "logits": (lambda: files.logistic(output="logit").SerializeToString(), r"outside \[0, 1\]"),
    "not a number": (lambda: constant([float("nan")], [1]), "no finite numbers"),
    "three classes": (lambda: constant([0.2, 0.3, 0.5], [3]), "scores of shape"),
    "sums to more": (lambda: constant([0.9, 0.9], [2]), "don't sum to 1"),
    "noise": (noisy, "when it is asked again|finite"),
    "mixes rows": (mixing_rows, "alone otherwise"),
}  # fmt: skip


@pytest.mark.parametrize("how", MODELS)
def test_a_model_that_can_not_be_served_is_refused(how: str) -> None:
    make, sentence = MODELS[how]
    with pytest.raises(Refused, match=sentence):
        take(make())


def test_a_model_that_takes_no_missing_value_asks_for_a_number_instead() -> None:
    nodes = [
        helper.make_node("MatMul", ["x", "weights"], ["logit"]),
        helper.make_node("Sigmoid", ["logit"], ["y"]),
    ]
    content = graph_of(nodes, [numpy_helper.from_array(files.WEIGHTS, "weights")])
    with pytest.raises(Refused, match="where a value is missing") as caught:
        take(content)
    assert caught.value.field == "fill"
    assert "A missing number counts as -1." in take(content, Wishes(files.COLUMNS, fill=-1)).notes


SIGNATURES: dict[str, tuple[Any, str]] = {
    "too few": (["a", "b"], "fills 2 columns, and the model takes 3"),
    "none": (None, "doesn't name its 3 columns"),
    "twice the same": (["a", "a", "b"], "unique"),
    "a number": (7, "must be"),
    "of numbers": ([1, 2, 3], "must be a feature or the name"),
    "empty name": (["", "b", "c"], "plain text"),
    "control character": (["a\n", "b", "c"], "plain text"),
    "unknown kind": ([{"name": "a", "kind": "image"}], "kind: must be one of"),
    "unknown key": ([{"name": "a", "size": 3}], "unknown key 'size'"),
    "no levels": ([{"name": "a", "kind": "category"}], "levels"),
    "levels twice": ([{"name": "a", "kind": "category", "levels": ["x", "x"]}], "levels"),
    "wide": ([{"name": "a", "kind": "sequence", "steps": 1000, "size": 1000}], "at most 20,000"),
    "no steps": ([{"name": "a", "kind": "sequence", "size": 1}], "steps"),
}


@pytest.mark.parametrize("how", SIGNATURES)
def test_a_wrong_signature_is_refused(how: str) -> None:
    signature, sentence = SIGNATURES[how]
    with pytest.raises(Refused, match=sentence) as caught:
        take(ONNX, Wishes(signature))
    assert caught.value.field.startswith("signature")


BOOSTERS: dict[str, tuple[Callable[[], bytes], str]] = {
    "another objective": (
        lambda: bytes(files.booster(objective="reg:squarederror").save_raw("ubj")), "objective",
    ),
    "three classes": (
        lambda: bytes(files.booster(objective="multi:softprob", num_class=3).save_raw("ubj")),
        "objective",
    ),
    "linear": (lambda: bytes(files.booster(booster="gblinear").save_raw("json")), "gblinear"),
    "dart": (lambda: bytes(files.booster(booster="dart").save_raw("json")), "dart"),
    "other JSON": (lambda: b'{"a": 1}', "XGBoost can't read it"),
    "cut off": (lambda: bytes(files.booster().save_raw("json"))[:-100], "XGBoost can't read it"),
}  # fmt: skip


@pytest.mark.parametrize("how", BOOSTERS)
def test_a_booster_that_gives_no_probability_is_refused(how: str) -> None:
    make, sentence = BOOSTERS[how]
    with pytest.raises(Refused, match=sentence):
        take(make())


MLFLOW: dict[str, tuple[dict[str, bytes], str]] = {
    "scikit-learn": (
        {"MLmodel": files.mlmodel({"sklearn": {"pickled_model": "m"}, "python_function": {}})},
        "flavors python_function, sklearn; only onnx and xgboost",
    ),
    "no flavor": ({"MLmodel": b"a: 1"}, "no flavors"),
    "not YAML": ({"MLmodel": b"a: [1"}, "can't be read"),
    "a list": ({"MLmodel": b"- 1"}, "must be a JSON object"),
    "runs Python": ({"MLmodel": b"a: !!python/object/apply:os.system [id]"}, "can't be read"),
    "aliases": ({"MLmodel": b"a: &a [1]\nb: [*a, *a]"}, "aliases"),
    "file elsewhere": (
        {"MLmodel": files.mlmodel({"onnx": {"data": "../../etc/passwd"}})}, "doesn't name a model",
    ),
    "file gone": ({"MLmodel": files.mlmodel({"onnx": {"data": "m.onnx"}})}, "isn't there"),
    "text column": (
        {
            "MLmodel": files.mlmodel(
                {"onnx": {"data": "m"}}, '[{"name": "city", "type": "string"}]'
            ),
            "m": ONNX,
        },
        "city is no number",
    ),
    "tensors in other files": (
        {"MLmodel": files.mlmodel({"onnx": {"data": "m"}}), "m": files.with_external_data()},
        "save_as_external_data=False",
    ),
}  # fmt: skip


@pytest.mark.parametrize("how", MLFLOW)
def test_an_mlflow_model_that_can_not_be_read_is_refused(how: str) -> None:
    entries, sentence = MLFLOW[how]
    with pytest.raises(Refused, match=sentence):
        take(files.zipped(entries))


# --- the child process ---


def test_a_child_that_needs_too_much_memory_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(ONNX)
    small = sandbox.Limits(memory=96 * 1024**2)  # the libraries alone take more
    with pytest.raises(Refused, match="memory|failed"):
        sandbox.look(path, wishes=NAMED, names=bundles.FILES, limits=small)


def test_a_child_that_takes_too_long_is_ended(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(ONNX)
    with pytest.raises(Refused, match="takes longer than 0.1 seconds"):
        sandbox.look(
            path, wishes=NAMED, names=bundles.FILES, limits=sandbox.Limits(wall_seconds=0.1)
        )


def test_a_child_that_crashes_is_a_refusal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandbox, "_START", "import os; os.abort()")
    with pytest.raises(Refused, match="crashed the process that looked at it .SIGABRT"):
        sandbox.look(tmp_path / "x", wishes=NAMED, names=bundles.FILES)


def test_a_child_that_answers_nonsense_is_a_refusal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sandbox, "_START", "print('x' * 100)")
    with pytest.raises(Refused, match="gave no answer"):
        sandbox.look(tmp_path / "x", wishes=NAMED, names=bundles.FILES)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_a_damaged_booster_ends_as_a_sentence_whatever_it_does(tmp_path: Path, seed: int) -> None:
    """The library crashes on some, hangs on others, and loads some."""
    rng = files.np.random.default_rng(seed)
    content = bytearray(files.booster().save_raw("ubj"))
    for place in rng.integers(1, len(content), 40):
        content[place] = rng.integers(0, 256)
    path = tmp_path / "model.ubj"
    path.write_bytes(content)
    with pytest.raises(Refused):
        sandbox.look(path, wishes=Wishes(), names=bundles.FILES)


def test_a_child_sees_none_of_our_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AEGIS__SECURITY__SECRET_KEY", "s" * 40)
    # raises, with the names of what it sees, unless it sees none of it
    program = "import os, sys; sys.exit(any('AEGIS' in name for name in os.environ))"
    monkeypatch.setattr(sandbox, "_START", program)
    with pytest.raises(Refused, match="gave no answer"):
        sandbox.look(tmp_path / "x", wishes=NAMED, names=bundles.FILES)


@pytest.mark.parametrize("cut", [0, 4, 20, -1])
def test_a_broken_frame_is_told(cut: int) -> None:
    stream = io.BytesIO()
    frames.write(stream, {"a": 1}, {"b": b"123"})
    with pytest.raises(frames.BrokenFrame):
        frames.read(io.BytesIO(stream.getvalue()[:cut]), max_bytes=1000)


def test_a_frame_over_the_limit_is_not_read() -> None:
    stream = io.BytesIO()
    frames.write(stream, {}, {"b": b"1" * 500})
    stream.seek(0)
    with pytest.raises(frames.BrokenFrame, match="too long"):
        frames.read(stream, max_bytes=100)


# --- over the API ---


@pytest.fixture
def client(own_folders: Path, patient_database: None) -> APIClient:
    make_model("fraud")
    return api_client(roles.DATA_SCIENTIST)


def refusal(client: APIClient, content: bytes | None, **fields: Any) -> list[str]:
    """The wrong fields that the API names; nothing may be kept."""
    sent = dict(fields)
    if content is not None:
        sent["file"] = io.BytesIO(content)
        sent["file"].name = "model.zip"
    answer = client.post("/api/v1/models/fraud/versions/import", sent, format="multipart")
    assert answer.status_code == 400, answer.content
    assert not ModelVersion.objects.exists()
    assert not list(Path(settings.ARTIFACT_ROOT).glob("*/*"))
    return [error["field"] for error in answer.json()["errors"]]


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("content", "fields", "wrong"),
    [
        (None, {}, ["file"]),
        (b"", {}, ["file"]),
        (b"junk", {}, ["file"]),
        (pickle.dumps(1), {}, ["file"]),
        (ONNX, {}, ["signature"]),
        (ONNX, {"signature": "[" * 100_000}, ["signature"]),
        (ONNX, {"signature": "{"}, ["signature"]),
        (ONNX, {"signature": '["a\\u0000"]'}, ["signature"]),
        (ONNX, {"threshold": "nan"}, ["threshold"]),
        (ONNX, {"threshold": "1.5"}, ["threshold"]),
        (ONNX, {"threshold": "high"}, ["threshold"]),
        (ONNX, {"fill": "inf"}, ["fill"]),
        (ONNX, {"feature_set": "nothing@v1"}, None),
        (ONNX, {"path": "/etc/passwd"}, ["path"]),
        (ONNX, {"signature": '["a", "b", "c"]', "output": "nowhere"}, ["output"]),
    ],
)
@pytest.mark.usefixtures("own_folders")
def test_the_api_names_what_is_wrong(
    client: APIClient, content: bytes | None, fields: dict[str, str], wrong: list[str] | None
) -> None:
    if wrong is None:
        answer = client.post(
            "/api/v1/models/fraud/versions/import",
            {"file": io.BytesIO(content or b""), **fields},
            format="multipart",
        )
        assert answer.status_code == 404
    else:
        assert refusal(client, content, **fields) == wrong


@pytest.mark.django_db
def test_a_file_over_the_limit_is_too_large(client: APIClient, settings: Any) -> None:
    settings.REGISTRY = settings.REGISTRY.model_copy(update={"max_import_bytes": 1000})
    file = io.BytesIO(b"x" * 2000)
    answer = client.post("/api/v1/models/fraud/versions/import", {"file": file}, format="multipart")
    assert answer.status_code == 413


@pytest.mark.django_db
def test_a_body_over_the_limit_is_not_read(client: APIClient, settings: Any) -> None:
    settings.BODY_LIMITS = {"/versions/import": 1000}
    file = io.BytesIO(b"x" * 2000)
    answer = client.post("/api/v1/models/fraud/versions/import", {"file": file}, format="multipart")
    assert answer.status_code == 413


@pytest.mark.django_db
def test_a_body_that_is_no_form_is_refused(client: APIClient) -> None:
    answer = client.post("/api/v1/models/fraud/versions/import", {"file": "x"})
    assert answer.status_code == 415
