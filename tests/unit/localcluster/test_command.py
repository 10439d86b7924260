from click.testing import CliRunner

from cli.local import local


def test_a_name_that_makes_no_cluster_is_refused_with_the_rule() -> None:
    result = CliRunner().invoke(local, ["status", "--name", "No-Good"])

    assert result.exit_code == 2
    assert "small letters and digits" in result.output


def test_the_status_of_a_cluster_that_is_not_up_says_so() -> None:
    result = CliRunner().invoke(local, ["status", "--name", "nowhere"])

    assert result.exit_code == 1
    assert "cluster 'nowhere' is not up" in result.output


def test_the_logs_of_a_cluster_that_is_not_up_are_none() -> None:
    listed = CliRunner().invoke(local, ["logs", "--name", "nowhere"])
    asked = CliRunner().invoke(local, ["logs", "--name", "nowhere", "etcd"])

    assert listed.exit_code == 0
    assert "not up" in listed.output
    assert asked.exit_code == 2
    assert "'etcd' is none of" in asked.output


def test_kubectl_needs_a_cluster_and_says_how_to_get_one() -> None:
    result = CliRunner().invoke(local, ["kubectl", "--name", "nowhere", "--", "get", "nodes"])

    assert result.exit_code == 1
    assert "k40s local up --name nowhere" in result.output
