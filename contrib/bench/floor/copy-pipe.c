/*
 * What the kernel alone takes for output: copy-pipe BYTES FILE
 *
 * One process writes BYTES into a pipe, another reads them and writes them to FILE as they are: no frames, no JSON, no times.
 */
#include <err.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static char block[64 * 1024];

static void produce(int to, long long bytes)
{
	memset(block, 'x', sizeof block);
	while (bytes > 0) {
		ssize_t wrote = write(to, block, bytes < (long long)sizeof block ? (size_t)bytes : sizeof block);
		if (wrote <= 0)
			err(1, "write to the pipe");
		bytes -= wrote;
	}
	_exit(0);
}

int main(int argc, char **argv)
{
	int ends[2];
	ssize_t got;

	if (argc != 3)
		errx(2, "usage: copy-pipe BYTES FILE");
	if (pipe(ends) != 0)
		err(1, "pipe");
	if (fork() == 0)
		produce(ends[1], atoll(argv[1]));
	close(ends[1]);
	int file = open(argv[2], O_WRONLY | O_CREAT | O_TRUNC, 0600);
	if (file < 0)
		err(1, "open %s", argv[2]);
	while ((got = read(ends[0], block, sizeof block)) > 0)
		if (write(file, block, (size_t)got) != got)
			err(1, "write %s", argv[2]);
	wait(NULL);
	return got < 0;
}
