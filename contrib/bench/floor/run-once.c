/*
 * What the kernel alone takes for a container: run-once ROOT WORK NETWORK
 *
 * An overlay on ROOT (its layers below WORK, which is made), all the namespaces of a container (with NETWORK "host" all but
 * the network's), the usual file systems in them, pivot_root(2), /bin/true, and its end. Nothing is read, checked or recorded.
 */
#define _GNU_SOURCE
#include <err.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static char merged[4096];

static void attach(const char *type, const char *target, unsigned long flags, const char *data)
{
	if (mount(type, target, type, flags, data) != 0)
		err(1, "mount %s on %s", type, target);
}

static void overlay(const char *root, const char *work)
{
	char path[4096], options[16384];
	const char *parts[] = { "", "/upper", "/work", "/merged" };

	for (int at = 0; at < 4; at++) {
		snprintf(path, sizeof path, "%s%s", work, parts[at]);
		if (mkdir(path, 0700) != 0)
			err(1, "mkdir %s", path);
	}
	snprintf(merged, sizeof merged, "%s/merged", work);
	snprintf(options, sizeof options, "lowerdir=%s,upperdir=%s/upper,workdir=%s/work", root, work, work);
	attach("overlay", merged, 0, options);
}

static void container(const char *root, const char *work)
{
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0)
		err(1, "make mounts private");
	overlay(root, work);
	if (chdir(merged) != 0)
		err(1, "chdir %s", merged);
	attach("proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL);
	attach("tmpfs", "dev", MS_NOSUID | MS_STRICTATIME, "mode=755,size=65536k");
	if (syscall(SYS_pivot_root, ".", ".") != 0 || umount2(".", MNT_DETACH) != 0)
		err(1, "pivot_root");
	execl("/bin/true", "true", (char *)NULL);
	err(1, "exec /bin/true");
}

int main(int argc, char **argv)
{
	int namespaces = CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP;
	int status;

	if (argc != 4)
		errx(2, "usage: run-once ROOT WORK host|none");
	if (strcmp(argv[3], "host") != 0)
		namespaces |= CLONE_NEWNET;
	/* As fork(2), but into the namespaces. */
	pid_t pid = syscall(SYS_clone, namespaces | SIGCHLD, NULL, NULL, NULL, NULL);
	if (pid == 0)
		container(argv[1], argv[2]);
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		err(1, "clone");
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}
