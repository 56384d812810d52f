"""What a machine has once the outbound role was there."""

CERTIFICATES = "/etc/ssl/certs/ca-certificates.crt"
TRUSTED = "import ssl; print([c['subject'] for c in ssl.create_default_context(cafile='{}').get_ca_certs()])"


def test_apt_goes_by_the_proxy(host):
    with host.sudo():
        dump = host.check_output("apt-config dump")
    for kind in ("http", "https"):
        assert f'Acquire::{kind}::Proxy "http://me:hush@127.0.0.1:3128";' in dump
        assert f'Acquire::{kind}::Proxy::packages.example.org "DIRECT";' in dump


def test_only_root_reads_the_password(host):
    assert host.run("grep -r hush /etc/apt").stdout == ""


def test_others_can_still_ask_apt(host):
    assert host.run("apt-cache policy ca-certificates").rc == 0


def test_the_authority_is_trusted_beside_the_others(host):
    trusted = host.check_output(f'python3 -c "{TRUSTED.format(CERTIFICATES)}"')
    assert "Example Company, for tests" in trusted and trusted.count("commonName") > 50


def test_openssl_finds_it_by_its_name(host):
    added = host.check_output("ls /usr/local/share/ca-certificates/outbound-*.crt")
    assert host.check_output(f"openssl verify -CApath /etc/ssl/certs {added}").endswith(": OK")
