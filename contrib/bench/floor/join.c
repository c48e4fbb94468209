/*
 * What the kernel alone takes for an exec: join PID
 *
 * Enters the namespaces and the root of the process, runs /bin/true there, waits for its end.
 */
#define _GNU_SOURCE
#include <err.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	int namespaces = CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWNET | CLONE_NEWCGROUP;
	int status;

	if (argc != 2)
		errx(2, "usage: join PID");
	/* One call for all of them: setns(2) takes a pidfd. Its root comes with the mount namespace. */
	int process = syscall(SYS_pidfd_open, atoi(argv[1]), 0);
	if (process < 0 || setns(process, namespaces) != 0)
		err(1, "enter the namespaces of %s", argv[1]);
	pid_t pid = fork();
	if (pid == 0) {
		execl("/bin/true", "true", (char *)NULL);
		err(1, "exec /bin/true");
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		err(1, "fork");
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}
