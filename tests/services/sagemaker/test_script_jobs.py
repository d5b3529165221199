"""Training jobs that run a user's own script: what it is told, how it is started, and how each end is told."""

from __future__ import annotations

import io
import json
import tarfile
from typing import Any

import pytest
from botocore.exceptions import ClientError
from tests.processing import has_own_opt_ml
from tests.scripts import PYTORCH, REPORT, ROLE, XGBOOST, Scientist

SEES = """
import os, sys
from report import report

report({
    "argv": sys.argv, "environ": dict(os.environ), "cwd": os.getcwd(), "name": __name__, "python": sys.executable,
    "channels": {name: sorted(os.listdir(os.environ[f"SM_CHANNEL_{name.upper()}"])) for name in ("train",)},
})
print("seen", flush=True)
"""


@pytest.fixture(scope="module")
def scientist(server: Any) -> Scientist:
    one = Scientist(server, "515151515151")
    one.upload("data/rows.csv", b"1,2\n3,4\n")
    return one


# --- what a script sees ---------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def seen(scientist: Scientist) -> dict[str, Any]:
    """The report of a script with parameters of every kind."""
    scientist.train(
        "sees",
        {"train.py": SEES, "report.py": REPORT},
        {
            "n": 3,
            "rate": 0.5,
            "flag": True,
            "text": "a b",
            "list": [1, 2],
            "map": {"y": 2, "x": 1},
            "nothing": None,
            "raw": "é",
        },
        InputDataConfig=[scientist.channel("train", "data/", ContentType="text/csv")],
        Environment={"GREETING": "hello", "SM_LOG_LEVEL": "30"},
    )
    return scientist.report("sees")


def test_hyperparameters_are_arguments(seen: dict[str, Any]) -> None:
    assert seen["argv"] == [
        "train.py", "--flag", "True", "--list", "[1, 2]", "--map", "x=1,y=2", "-n", "3", "--nothing", "", "--rate", "0.5",
        "--raw", "é", "--text", "a b",
    ]  # fmt: skip


def test_hyperparameters_are_variables(seen: dict[str, Any]) -> None:
    environ = seen["environ"]
    assert json.loads(environ["SM_HPS"]) == {
        "n": 3, "rate": 0.5, "flag": True, "text": "a b", "list": [1, 2], "map": {"y": 2, "x": 1}, "nothing": None, "raw": "é",
    }  # fmt: skip
    assert environ["SM_HP_TEXT"] == "a b"
    assert environ["SM_HP_FLAG"] == "true"
    assert environ["SM_HP_MAP"] == '{"x":1,"y":2}'
    assert environ["SM_HP_NOTHING"] == ""
    assert json.loads(environ["SM_USER_ARGS"]) == seen["argv"][1:]


def test_the_toolkit_tells_where_everything_is(seen: dict[str, Any]) -> None:
    environ = seen["environ"]
    root = seen["cwd"].removesuffix("/code")
    places = {name: environ[f"SM_{name}"].removeprefix(root) for name in ("MODEL_DIR", "OUTPUT_DIR", "OUTPUT_DATA_DIR")}
    assert places == {"MODEL_DIR": "/model", "OUTPUT_DIR": "/output", "OUTPUT_DATA_DIR": "/output/data"}
    assert environ["SM_INPUT_CONFIG_DIR"] == f"{root}/input/config"
    assert environ["SM_CHANNEL_TRAIN"] == f"{root}/input/data/train"
    assert seen["channels"] == {"train": ["rows.csv"]}
    assert json.loads(environ["SM_CHANNELS"]) == ["train"]
    assert json.loads(environ["SM_INPUT_DATA_CONFIG"])["train"]["ContentType"] == "text/csv"
    assert environ["PYTHONPATH"].split(":")[0] == f"{root}/code"


def test_the_toolkit_tells_who_one_is(seen: dict[str, Any]) -> None:
    environ = seen["environ"]
    assert environ["SM_CURRENT_HOST"] == "algo-1"
    assert json.loads(environ["SM_HOSTS"]) == ["algo-1"]
    assert environ["SM_USER_ENTRY_POINT"] == "train.py"
    assert environ["SM_MODULE_NAME"] == "train"
    assert environ["SM_MODULE_DIR"].endswith("/sees/source/sourcedir.tar.gz")
    assert environ["SM_FRAMEWORK_MODULE"] == "sagemaker_sklearn_container.training:main"
    assert environ["TRAINING_JOB_NAME"] == environ["SAGEMAKER_JOB_NAME"] == "sees"
    assert environ["SAGEMAKER_REGION"] == "us-east-1"
    told = json.loads(environ["SM_TRAINING_ENV"])
    assert told["is_master"] is True
    assert told["job_name"] == "sees"
    assert told["hyperparameters"]["n"] == 3
    assert seen["name"] == "__main__"


def test_the_jobs_own_environment_is_kept(seen: dict[str, Any]) -> None:
    assert seen["environ"]["GREETING"] == "hello"
    assert "CLARY_SCRIPT" not in seen["environ"]


def test_the_first_line_says_which_version_runs(scientist: Scientist, seen: dict[str, Any]) -> None:
    import sklearn

    first = scientist.log("sees")[0]
    assert first.startswith(
        f"Clary: scikit-learn {sklearn.__version__}, the nearest to the 1.2 that the image asks for; Python 3."
    )


def test_a_script_reaches_s3_with_the_rights_of_its_job(scientist: Scientist) -> None:
    script = """
        import boto3, os
        s3 = boto3.client("s3")
        print(s3.get_object(Bucket="scripts-of-515151515151", Key="data/rows.csv")["Body"].read())
        print(boto3.client("sts").get_caller_identity()["Arn"])
    """
    scientist.train("own-clients", script)
    assert "b'1,2\\n3,4\\n'" in scientist.log("own-clients")
    assert any(":assumed-role/SageMakerRole/" in line for line in scientist.log("own-clients"))


# --- programs of every kind -----------------------------------------------------------------------------------------


def test_a_module_behaves_as_if_python_had_started_it(scientist: Scientist) -> None:
    """Pickles of its own classes, exit handlers, threads, processes, standard error, an exit status of 0."""
    script = """
        import atexit, multiprocessing, pickle, sys, threading, time

        class Model:
            pass

        def square(x):
            return x * x

        def late():
            time.sleep(0.2)
            print("from a thread")

        if __name__ == "__main__":
            atexit.register(print, "at exit")
            assert type(pickle.loads(pickle.dumps(Model()))) is Model
            for method in ("fork", "spawn"):
                with multiprocessing.get_context(method).Pool(2) as pool:
                    print(method, pool.map(square, [1, 2, 3]))
            threading.Thread(target=late).start()
            print("to stderr", file=sys.stderr)
            sys.exit(0)
    """
    scientist.train("a-module", script)
    said = scientist.log("a-module")[3:]
    assert said == ["fork [1, 4, 9]", "spawn [1, 4, 9]", "to stderr", "from a thread", "at exit"]


def test_a_shell_script_gets_its_arguments_quoted(scientist: Scientist) -> None:
    script = """
        #!/bin/sh
        for argument in "$@"; do echo "<$argument>"; done
        python -c 'import sklearn; print("sklearn")'
        echo done > "$SM_MODEL_DIR/model"
    """
    scientist.train("a-shell-script", script, {"text": "a 'b' $(c)"}, program="go.sh")
    assert scientist.log("a-shell-script")[3:] == ["<--text>", "<a 'b' $(c)>", "sklearn"]
    assert scientist.artifact("a-shell-script") == {"model": b"done\n"}


def test_a_script_in_a_folder_imports_from_its_folder_and_from_the_root(scientist: Scientist) -> None:
    files: dict[str, str | bytes] = {"src/train.py": "import beside, above", "src/beside.py": "", "above.py": "print('both')"}
    scientist.train("in-a-folder", files, program="src/train.py")
    assert scientist.log("in-a-folder")[-1] == "both"


def test_variables_that_python_reads_at_its_start_are_heard(scientist: Scientist) -> None:
    script = "import os, sys; print(sys.flags.hash_randomization, os.environ['OMP_NUM_THREADS'], __name__)"
    scientist.train("fresh", script, Environment={"PYTHONHASHSEED": "0", "OMP_NUM_THREADS": "1"})
    assert scientist.log("fresh")[-1] == "0 1 __main__"


def test_xgboosts_image_with_a_script_is_a_framework(scientist: Scientist) -> None:
    script = """
        import argparse, os
        import numpy as np, xgboost
        parser = argparse.ArgumentParser()
        parser.add_argument("--num_round", type=int)
        rows = np.loadtxt(os.path.join(os.environ["SM_CHANNEL_TRAIN"], "rows.csv"), delimiter=",")
        model = xgboost.train({"nthread": 1}, xgboost.DMatrix(rows[:, 1:], rows[:, 0]), parser.parse_args().num_round)
        print("loss=0.25;")
        model.save_model(os.path.join(os.environ["SM_MODEL_DIR"], "xgboost-model"))
    """
    job = scientist.train(
        "xgboost-script",
        script,
        {"num_round": 2},
        image=XGBOOST,
        InputDataConfig=[scientist.channel("train", "data/")],
        AlgorithmSpecification={"MetricDefinitions": [{"Name": "loss", "Regex": r"loss=([0-9.]+);"}]},
    )
    assert job["FinalMetricDataList"][0]["Value"] == 0.25
    assert [metric["Name"] for metric in job["AlgorithmSpecification"]["MetricDefinitions"]] == ["loss"]
    assert list(scientist.artifact("xgboost-script")) == ["xgboost-model"]


def test_a_command_runs_instead_of_the_toolkit(scientist: Scientist) -> None:
    command = {
        "ContainerEntrypoint": ["/bin/sh", "-c"],
        "ContainerArguments": ["echo $TRAINING_JOB_NAME; ls /opt/ml/input/config"],
    }
    scientist.train("a-command", "", AlgorithmSpecification=command)
    assert scientist.log("a-command")[1:] == [
        "a-command", "hyperparameters.json", "inputdataconfig.json", "resourceconfig.json",
    ]  # fmt: skip


@pytest.mark.skipif(not has_own_opt_ml(), reason="scripts cannot have an /opt/ml of their own here")
def test_a_script_finds_the_paths_of_its_container(scientist: Scientist) -> None:
    copies = "import shutil; shutil.copy('/opt/ml/input/data/train/rows.csv', '/opt/ml/model/copy.csv')"
    scientist.train("hard-coded", copies, InputDataConfig=[scientist.channel("train", "data/")])
    assert scientist.artifact("hard-coded") == {"copy.csv": b"1,2\n3,4\n"}


def test_every_host_runs_the_script(scientist: Scientist) -> None:
    script = """
        import json, os
        hosts = json.load(open(os.path.join(os.environ["SM_INPUT_CONFIG_DIR"], "resourceconfig.json")))["hosts"]
        assert hosts == json.loads(os.environ["SM_HOSTS"]) == ["algo-1", "algo-2"]
        host = os.environ["SM_CURRENT_HOST"]
        print("I am", host, json.loads(os.environ["SM_TRAINING_ENV"])["is_master"])
        open(os.path.join(os.environ["SM_MODEL_DIR"], host), "w").close()
    """
    scientist.train("two-hosts", script, hosts=2)
    assert scientist.log("two-hosts", "algo-1")[-1] == "I am algo-1 True"
    assert scientist.log("two-hosts", "algo-2")[-1] == "I am algo-2 False"
    assert sorted(scientist.artifact("two-hosts")) == ["algo-1", "algo-2"]


def test_intermediate_output_is_copied_while_the_script_runs(scientist: Scientist) -> None:
    script = """
        import os, time
        with open(os.path.join(os.environ["SM_OUTPUT_INTERMEDIATE_DIR"], "epoch-1"), "w") as file:
            file.write("early")
        while not os.path.exists("/nowhere"):
            time.sleep(0.05)
    """
    scientist.start("intermediate", script, {"sagemaker_s3_output": f"s3://{scientist.bucket}/"})
    key = "intermediate/output/intermediate/epoch-1"
    scientist.s3.get_waiter("object_exists").wait(
        Bucket=scientist.bucket, Key=key, WaiterConfig={"Delay": 1, "MaxAttempts": 90}
    )
    scientist.sagemaker.stop_training_job(TrainingJobName="intermediate")
    assert scientist.ended("intermediate")["TrainingJobStatus"] == "Stopped"
    assert scientist.s3.get_object(Bucket=scientist.bucket, Key=key)["Body"].read() == b"early"


# --- what a source asks for -----------------------------------------------------------------------------------------

PACKAGE = {
    "pyproject.toml": '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n',
    "backend.py": """
        import zipfile

        def build_wheel(directory, settings=None, metadata=None):
            name = "shelf-1.0-py3-none-any.whl"
            with zipfile.ZipFile(f"{directory}/{name}", "w") as wheel:
                wheel.writestr("shelf.py", "NAME = 'installed'")
                wheel.writestr("shelf-1.0.dist-info/METADATA", "Metadata-Version: 2.1\\nName: shelf\\nVersion: 1.0\\n")
                wheel.writestr("shelf-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
                wheel.writestr("shelf-1.0.dist-info/RECORD", "")
            return name
    """,
}
"""A project that pip builds without a network."""


def test_requirements_are_installed_once_for_all_jobs(scientist: Scientist) -> None:
    files: dict[str, str | bytes] = {f"shelf/{name}": content for name, content in PACKAGE.items()}
    files |= {"requirements.txt": "./shelf\nnumpy\n", "train.py": "import shelf; print(shelf.NAME, shelf.__file__)"}
    scientist.train("requires", files)
    first = scientist.log("requires")
    assert any(line.startswith("Installing: pip install -r requirements.txt") for line in first)
    assert first[-1].startswith("installed ")
    scientist.train("requires-again", files)
    again = scientist.log("requires-again")
    assert again[-1] == first[-1]
    assert not any("Installing" in line for line in again)
    scientist.train("requires-nothing", "import importlib.util; print(importlib.util.find_spec('shelf'))")
    assert scientist.log("requires-nothing")[-1] == "None", "a job's requirements are that job's"


def test_requirements_that_are_there_already_cost_no_process(scientist: Scientist) -> None:
    files: dict[str, str | bytes] = {
        "requirements.txt": "numpy\n# nothing else\n",
        "train.py": "import sys; print('clary.compute' in sys.modules)",
    }
    scientist.train("satisfied", files)
    assert scientist.log("satisfied")[-1] == "True", "it ran in the warm process's fork"


def test_a_script_installs_what_it_likes_for_itself_only(scientist: Scientist) -> None:
    files: dict[str, str | bytes] = {f"shelf/{name}": content for name, content in PACKAGE.items()}
    files["train.py"] = """
        import subprocess, sys
        subprocess.run([sys.executable, "-m", "pip", "install", "--no-index", "--no-build-isolation", "./shelf"], check=True)
        import shelf
        print(shelf.NAME)
    """
    scientist.train("installs", files)
    assert scientist.log("installs")[-1] == "installed"
    scientist.train("after-installs", "import importlib.util; print(importlib.util.find_spec('shelf'))")
    assert scientist.log("after-installs")[-1] == "None"


def test_a_project_is_installed_and_run_as_a_module(scientist: Scientist) -> None:
    setup = "from setuptools import setup\nsetup(name='lab', version='1', packages=['lab'])\n"
    files: dict[str, str | bytes] = dict(PACKAGE)
    files |= {"setup.py": setup, "train.py": "import shelf, sys; print(shelf.NAME, sys.argv[1:])"}
    scientist.train("a-project", files, {"n": 1})
    assert scientist.log("a-project")[-1] == "installed ['-n', '1']"


def test_requirements_that_cannot_be_had_fail_the_job_with_pips_words(scientist: Scientist) -> None:
    files: dict[str, str | bytes] = {"train.py": "", "requirements.txt": "--no-index\nno-such-package-at-all==1.0\n"}
    reason = scientist.failure("requires-too-much", files)
    assert reason.startswith("AlgorithmError: InstallRequirementsError:\nExitCode 1\nErrorMessage ")
    assert "No matching distribution found for no-such-package-at-all==1.0" in reason
    assert 'Command "python -m pip install' in reason


# --- ends -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "script", "reason"),
    [
        (
            "raises",
            "print('before')\nraise ValueError('schlecht: é, 日本')",
            'ErrorMessage "ValueError: schlecht: é, 日本"\nCommand "python train.py -n 1", exit code: 1',
        ),
        ("misses", "import no_such_module", "ErrorMessage \"ModuleNotFoundError: No module named 'no_such_module'\""),
        ("garbled", "print('x'", "ErrorMessage \"SyntaxError: '(' was never closed\""),
        ("leaves", "import sys\nprint('the last word')\nsys.exit(3)", 'ExitCode 3\nErrorMessage "the last word"'),
        ("says", "import sys\nsys.exit('no data')", 'ExitCode 1\nErrorMessage "no data"'),
        ("e137", "import os\nprint('big', flush=True)\nos._exit(137)", 'ExitCode 137\nErrorMessage "big"\nExtraInfo "Proce'),
        ("killed", "import os\nos.kill(os.getpid(), 9)", 'ExitCode -9\nErrorMessage ""\nExtraInfo "Process killed by SIGKILL'),
        ("crashes", "import ctypes\nctypes.string_at(0)", 'ExtraInfo "Process killed by SIGSEGV (signal 11)"'),
        (
            "chained",
            "try:\n  {}['k']\nexcept KeyError as e:\n  raise RuntimeError('two\\nlines') from e",
            'ErrorMessage "RuntimeError: two\nlines"',
        ),
    ],
)  # fmt: skip
def test_a_script_that_fails_is_quoted(scientist: Scientist, name: str, script: str, reason: str) -> None:
    said = scientist.failure(name, script, {"n": 1})
    assert said.startswith("AlgorithmError: ExecuteUserScriptError:\nExitCode ")
    assert reason in said
    assert len(said) <= 1024


def test_a_traceback_shows_the_script_and_nothing_of_ours(scientist: Scientist) -> None:
    scientist.failure("trace", "def f():\n    return 1 / 0\n\nf()\n")
    log = "\n".join(scientist.log("trace"))
    assert "line 4, in <module>" in log
    assert "line 2, in f" in log
    assert "in_process" not in log


def test_a_failure_file_of_the_scripts_own_is_the_reason(scientist: Scientist) -> None:
    script = """
        import os, sys
        with open(os.path.join(os.environ["SM_OUTPUT_DIR"], "failure"), "w") as file:
            file.write("the labels are strings")
        sys.exit(5)
    """
    assert scientist.failure("own-words", script) == "AlgorithmError: the labels are strings, exit code: 5"


def test_what_a_script_leaves_running_ends_with_it(scientist: Scientist) -> None:
    script = """
        import os, time
        if os.fork() == 0:
            time.sleep(3600)
        print("parent done")
    """
    scientist.train("forks", script)
    assert scientist.log("forks")[-1] == "parent done"


def test_a_script_that_is_stopped_keeps_what_it_has_saved(scientist: Scientist) -> None:
    script = """
        import os, signal, sys, time
        def save(*_):
            open(os.path.join(os.environ["SM_MODEL_DIR"], "half"), "w").close()
            sys.exit(0)
        signal.signal(signal.SIGTERM, save)
        print("waiting")
        while True:
            time.sleep(1)
    """
    scientist.start("is-stopped", script)
    scientist.until_logged("is-stopped", "waiting")
    scientist.sagemaker.stop_training_job(TrainingJobName="is-stopped")
    job = scientist.ended("is-stopped")
    assert job["TrainingJobStatus"] == "Stopped"
    assert list(scientist.artifact("is-stopped")) == ["half"]


def test_every_line_arrives_and_one_long_one_is_cut(scientist: Scientist) -> None:
    script = """
        import sys
        sys.stdout.write("".join(f"{n}\\n" for n in range(100_000)))
        sys.stdout.write("x" * (3 << 20))
    """
    scientist.train("chatty", script)
    said = scientist.log("chatty")[3:]
    assert said[:100_000] == [str(n) for n in range(100_000)]
    assert sum(map(len, said[100_000:])) == 3 << 20


# --- what is refused ------------------------------------------------------------------------------------------------


def test_a_framework_that_is_not_installed_fails_with_the_command_that_installs_it(scientist: Scientist) -> None:
    image = "763104351884.dkr.ecr.us-east-1.amazonaws.com/tensorflow-training:2.14.1-cpu-py310"
    reason = scientist.failure("no-tensorflow", "import tensorflow", image=image)
    missing = f"{image} needs tensorflow, which is not installed here"
    assert reason == f"ClientError: {missing}; install it with: clary env add tensorflow, exit code: 2"


@pytest.mark.parametrize("program", ["", "../train.py", "/bin/true", "-c"])
def test_an_entry_point_is_a_file_of_the_source(scientist: Scientist, program: str) -> None:
    name = f"entry-{abs(hash(program))}"
    reason = scientist.failure(name, {"train.py": ""}, program=program)
    assert reason.startswith("ClientError: the ")
    assert "sagemaker_program" in reason


def test_an_entry_point_that_is_missing_is_told_with_what_is_there(scientist: Scientist) -> None:
    reason = scientist.failure("entry-missing", {"trian.py": ""}, program="train.py")
    assert reason.startswith("ClientError: the entry point 'train.py' is not in the source bundle, which holds trian.py")


def evil(name: str, **member: Any) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        info = tarfile.TarInfo(name)
        for key, value in member.items():
            setattr(info, key, value)
        tar.addfile(info)
    return packed.getvalue()


@pytest.mark.parametrize(
    ("name", "archive", "told"),
    [
        ("climbs", evil("../../escaped"), "leads out of"),
        ("absolute", evil("/tmp/escaped"), "absolute path"),
        ("links", evil("link", type=tarfile.SYMTYPE, linkname="/etc/passwd"), "absolute path"),
        ("device", evil("null", type=tarfile.CHRTYPE), "neither a file"),
        ("no-archive", b"print('train')", "not a readable tar archive"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",  # an archive holds the time when it was made
)
def test_a_bundle_that_would_leave_its_place_is_refused(scientist: Scientist, name: str, archive: bytes, told: str) -> None:
    reason = scientist.failure(f"bundle-{name}", archive)
    assert reason.startswith(f"ClientError: Source download failed: s3://{scientist.bucket}/bundle-{name}/source/")
    assert told in reason


def test_a_bundle_that_is_not_there_is_told(scientist: Scientist) -> None:
    missing = f"s3://{scientist.bucket}/nowhere.tar.gz"
    reason = scientist.failure("bundle-missing", "", {"sagemaker_submit_directory": missing})
    assert reason.startswith(f"ClientError: Source download failed: {missing}: ")


@pytest.mark.parametrize(
    ("image", "why"),
    [
        ("763104351884.dkr.ecr.us-east-1.amazonaws.com/mxnet-training:1.9.0-cpu-py38", "MXNet is no longer developed"),
        ("520713654638.dkr.ecr.us-east-1.amazonaws.com/sagemaker-chainer:5.0.0-cpu-py3", "Chainer is no longer developed"),
        (
            "462105765813.dkr.ecr.us-east-1.amazonaws.com/sagemaker-rl-ray-container:ray-1.6.0-torch-cpu-py36",
            "reinforcement learning",
        ),
        (PYTORCH.replace("2.6.0-cpu-py312", "0.4.0-cpu-py2"), "Python 2"),
        ("382416733822.dkr.ecr.us-east-1.amazonaws.com/kmeans:1", "runs no script"),
    ],
)
def test_an_image_that_runs_no_script_here_is_refused_with_the_reason(scientist: Scientist, image: str, why: str) -> None:
    with pytest.raises(ClientError) as caught:
        scientist.start("refused", "", image=image)
    error = caught.value.response["Error"]
    assert error["Code"] == "ValidationException"
    assert why in error["Message"]


@pytest.mark.parametrize(
    ("parameters", "hosts"),
    [({"sagemaker_mpi_enabled": True}, 1), ({"sagemaker_torch_distributed_enabled": True}, 2)],
)
def test_a_distribution_that_is_not_there_is_refused_by_name(
    scientist: Scientist, parameters: dict[str, Any], hosts: int
) -> None:
    with pytest.raises(ClientError, match=next(iter(parameters))):
        scientist.start("distributed", "", parameters, image=PYTORCH, hosts=hosts)


def test_torchrun_starts_the_script(scientist: Scientist) -> None:
    pytest.importorskip("torch", reason="PyTorch is not in the test environment")
    script = "import os, sys; print(os.environ['WORLD_SIZE'], os.environ['RANK'], sys.argv[1:])"
    scientist.train("torchrun", script, {"sagemaker_torch_distributed_enabled": True, "n": 1}, image=PYTORCH)
    assert scientist.log("torchrun")[-1] == "1 0 ['-n', '1']"


def test_a_built_in_algorithm_runs_no_command(scientist: Scientist) -> None:
    with pytest.raises(ClientError, match="runs no script"):
        scientist.sagemaker.create_training_job(
            TrainingJobName="command-of-kmeans",
            AlgorithmSpecification={"TrainingImage": "kmeans:1", "TrainingInputMode": "File", "ContainerEntrypoint": ["ls"]},
            RoleArn=ROLE.format(scientist.account),
            OutputDataConfig={"S3OutputPath": f"s3://{scientist.bucket}/"},
            ResourceConfig={"InstanceCount": 1, "InstanceType": "ml.m5.large", "VolumeSizeInGB": 5},
            StoppingCondition={"MaxRuntimeInSeconds": 60},
        )
