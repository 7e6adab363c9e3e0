"""Absolute paths are cut to names wherever they are, and nothing else is."""

import pytest

from uq_harness.rendering.paths import is_called_after_a_path, name_of_model, paths_in, without_paths


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("/home/me/x", "x"),
        ("/home/me/x/", "x"),
        ("/home/me/My Models/x y", "x y"),
        ("~/models/x", "x"),
        ("~me/models/x", "x"),
        ("file:///home/me/b.json", "b.json"),
        (r"D:\models\b.json", "b.json"),
        (r"\\server\share\f.txt", "f.txt"),
        ("pretrained=/home/me/a b/c d,dtype=x", "pretrained=c d,dtype=x"),
        ("model=/a/b;x=/c/d", "model=b;x=d"),
        ("{'pretrained': '/opt/m/x'}", "{'pretrained': 'x'}"),
        ("see /home/me/x.txt, and (/a/b/c)", "see x.txt, and (c)"),
        ("see </home/ada/q.jsonl>", "see <q.jsonl>"),
        ("use|/home/ada/q.jsonl", "use|q.jsonl"),
        ("2>/home/ada/log", "2>log"),
        ("/home/ada", "~"),
        ("/home/ada/", "~"),
        ("/Users/Ada Lovelace", "~"),
        (r"C:\Users\ada", "~"),
        ("c:/users/ada/", "~"),
        ("file:///home/ada", "~"),
        ("cache_dir=/home/ada,dtype=x", "cache_dir=~,dtype=x"),
        ("pretrained=/home/llama,dtype=x", "pretrained=llama,dtype=x"),
        ("{'nli_model': '/home/bert', 'cache': '/home/ada'}", "{'nli_model': 'bert', 'cache': '~'}"),
        ("cache in /home/ada, full", "cache in ~, full"),
        ("file:///C:/Users/ada", "~"),
        ("/mnt/c/Users/ada", "~"),
        ("/c/Users/ada/", "~"),
        ("\u201c/home/ada/q\u201d", "\u201cq\u201d"),
        ("\u201e/home/ada/q\u201c", "\u201eq\u201c"),
        ("@/home/ada/q", "@q"),
        ("!/home/ada/q", "!q"),
        ("a&/home/ada/q", "a&q"),
        ("+/home/ada/q", "+q"),
        ("$/home/ada/q", "$q"),
        ("*/home/ada/q*", "*q*"),
    ],
)
def test_a_path_is_cut_to_its_last_part(text: str, expected: str) -> None:
    assert without_paths(text) == expected
    assert next(iter(paths_in({"a": [text]})))[0] == "a[0]"
    assert list(paths_in(without_paths(text))) == []


@pytest.mark.parametrize(
    "text",
    [
        "/no_think",
        "/no_think/",
        "__init__.py",
        "__home__me__my models__x",
        "__Q__: {{question}} __A__: ",
        "_" * 60 + "\nAnswer.",
        "__init__",
        "org__model",
        "/model",
        "yes and/or no",
        "https://host/v1/chat/completions",
        "org/model",
        "./runs/a",
        "../runs/a",
        "1/2/3",
        "data/*/train/x.jsonl",
        "data/train-*/a/x.jsonl",
        "data/**/a/b",
        "data/a?/b/c",
        "{a}/b/c",
        "f[0]/a/b",
        "#/definitions/a",
        "\u662f/\u5426/\u4e0d",
        "/ is a slash / and no path",
        "Question: {{question}}\nAnswer:</s>/x/y",
    ],
)
def test_what_is_no_path_of_a_machine_stays(text: str) -> None:
    assert without_paths({"a": [text]}) == {"a": [text]}
    assert list(paths_in(text)) == []


@pytest.mark.parametrize("name", ["model_name", "pretrained", "peft", "tokenizer", "similarity_model"])
@pytest.mark.parametrize("path", ["/home/llama", "/Users/llama/", r"C:\Users\llama"])
def test_a_model_in_a_folder_like_a_persons_keeps_its_name(name: str, path: str) -> None:
    assert without_paths({name: path, "judges": [{name: [path]}]}) == {name: "llama", "judges": [{name: ["llama"]}]}
    assert name_of_model(path) == "llama"


def test_numbers_and_names_of_settings_stay() -> None:
    settings = {"limit": 10, "seed": None, "data_files": {"test": "/home/me/q.jsonl"}}
    assert without_paths(settings) == {"limit": 10, "seed": None, "data_files": {"test": "q.jsonl"}}
    assert list(paths_in(settings)) == [("data_files.test", "/home/me/q.jsonl")]


@pytest.mark.parametrize("folder", ["__home__me__my models__x", "C__Users__me__x"])
def test_a_folder_that_lm_eval_calls_after_a_path_is_cut_to_the_models_name(folder: str) -> None:
    assert is_called_after_a_path(folder)
    assert name_of_model(folder) == "x"
    settings = {"model_name_sanitized": folder}
    assert without_paths(settings) == {"model_name_sanitized": "x"}
    assert list(paths_in(settings)) == [("model_name_sanitized", folder)]


@pytest.mark.parametrize("name", ["org__model", "__init__", "_" * 60 + "\nAnswer.", "_" * 200_001, "__a__b/c", ""])
def test_other_names_are_not_called_after_a_path(name: str) -> None:
    assert not is_called_after_a_path(name)
    assert name_of_model(name) == name


@pytest.mark.parametrize("prompt", ["__Q__: {{question}} __A__: ", "/no_think/x", "Read /home/me/x, then /a/b/."])
def test_prompts_stay_as_they_are(prompt: str) -> None:
    names = ["doc_to_text", "doc_to_target", "description", "system_instruction", "gen_prefix"]
    settings = {
        "configs": {"t": dict.fromkeys(names, prompt) | {"generation_kwargs": {"until": [prompt]}}},
        "fewshot_config": {"samples": [{"question": prompt}]},
    }
    assert without_paths(settings) == settings
    assert list(paths_in(settings)) == []


SOURCES = (
    'def text(doc):\n    return read("/home/ada/private/examples.jsonl")\n',
    '    def text(doc):\n        return read("/home/ada/private/examples.jsonl")\n',
    '@cache\ndef text(doc):\n    return read("/home/ada/private/examples.jsonl")\n',
    'lambda doc: read("/home/ada/private/examples.jsonl")',
    'text = lambda doc: read("/home/ada/private/examples.jsonl")\n',
)


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("name", ["doc_to_text", "doc_to_target", "doc_to_choice", "gen_prefix"])
def test_a_functions_source_in_place_of_a_prompt_is_cut(source: str, name: str) -> None:
    settings = {name: source, "fewshot_config": {name: source, "samples": source, "process_docs": source}}
    cut = source.replace("/home/ada/private/", "")
    expected = {name: cut, "fewshot_config": {name: cut, "samples": cut, "process_docs": cut}}
    assert without_paths(settings) == expected
    places = [name, *(f"fewshot_config.{inner}" for inner in (name, "samples", "process_docs"))]
    assert [place for place, _ in paths_in(settings)] == places


def test_of_worked_examples_only_prompts_keep_paths() -> None:
    prompt = "Read /home/me/x."
    kept = {"doc_to_text": prompt, "target_delimiter": prompt, "samples": [{"question": prompt, "name": prompt}]}
    settings = {"fewshot_config": {"data_files": "/home/me/shots.jsonl", **kept}}
    assert without_paths(settings) == {"fewshot_config": {"data_files": "shots.jsonl", **kept}}
    assert list(paths_in(settings)) == [("fewshot_config.data_files", "/home/me/shots.jsonl")]
    assert without_paths({"samples": "/home/me/x.json"}) == {"samples": "x.json"}
