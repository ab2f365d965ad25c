import threading, time, pytest, resource
from pytest_dockerkit import ContainerSpec, HealthCheck, probes
from pytest_dockerkit.errors import *
def test_none(dockerkit):
    with pytest.raises(DockerkitError) as e:
        dockerkit.run("busybox:stable", command=["sleep","1000"], wait=probes.log("x"), docker_options={"LogConfig":{"Type":"none"}}, name="x", timeout=3)
    print(e.value)
def test_loop(dockerkit):
    with pytest.raises(DockerkitError) as e:
        dockerkit.run("busybox:stable", command=["httpd","-f","-p","127.0.0.1:80"], ports=[80], timeout=.5, name="x")
    print(e.value)
def test_restart(dockerkit):
    with dockerkit.run("busybox:stable", command=["sh","-c","if test -e /x; then echo second; exec sleep 1000; else touch /x; echo first; sleep 0.5; exit 1; fi"], wait=probes.all_of(probes.log("first"), probes.log("second")), docker_options={"RestartPolicy":{"Name":"on-failure","MaximumRetryCount":3}}) as c:
        print(c.logs())
def test_chatty(dockerkit):
    t=time.time()
    m=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with dockerkit.run("busybox:stable", command=["sh","-c","yes 'a line of a hundred bytes or so, such as services print by the thousand when they start, and more' | head -n 300000; echo done it; exec sleep 1000"], wait=probes.log("^done it$")) as c:
        print(time.time()-t, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss-m, "KB more")
        t=time.time(); c.wait(probes.log("^done it$")); print("again", time.time()-t)
def test_noshell(dockerkit):
    text="FROM busybox:stable AS b\nFROM scratch\nCOPY --from=b /bin/busybox /busybox\nHEALTHCHECK CMD [\"/busybox\", \"test\", \"-e\", \"/up\"]\nCMD [\"/busybox\", \"sh\", \"-c\", \"/busybox sleep 1; /busybox touch /up; exec /busybox sleep 1000\"]\n"
    from pytest_dockerkit import ImageSpec
    with dockerkit.run(ImageSpec(dockerfile_text=text)) as c:
        print(c.health, c.inspect()["ExecIDs"], [t.name for t in threading.enumerate()])
