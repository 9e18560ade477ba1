/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Starts programs from a list and says how long each took: the stopwatch of the benchmark.
 *
 *	spawn AT_ONCE < PLAN
 *
 * A plan is a line per request, fields separated by tabs:
 *
 *	LABEL  NETNS  STDIN  NAME=VALUE...  --  PROGRAM  ARGUMENT...
 *
 * The program runs in the network namespace NETNS (a path), reads the file STDIN and has exactly
 * the given environment. AT_ONCE requests are under way at any time, in the order of the plan. For
 * each that ended, one line of JSON is printed: label, microseconds from just before its start
 * until it was reaped, microseconds of processor time (its own and its children's), peak memory in
 * KiB, exit status, and what it wrote when it failed. The last line gives the time for all of them.
 *
 * Why not Python: it would fork a large process, and its own work between two requests is longer
 * than some requests. This one starts children with vfork semantics (posix_spawn). Linux counts
 * the memory of the process that called vfork into the child's peak, so this program stays small,
 * reads its plan line by line and reports its own peak: a child's figure is exact as soon as it is
 * above that.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define SLOTS 64
#define WORDS 48
#define LABEL 64

/* One request under way. out is a file in memory that takes what it prints. */
struct slot {
	pid_t pid; /* 0: free */
	int out;
	int64_t start_ns;
	char label[LABEL];
};

struct request {
	char *label, *netns, *stdin_path;
	char *env[WORDS];
	char *argv[WORDS];
};

_Noreturn static void die(const char *what)
{
	fprintf(stderr, "spawn: %s: %s\n", what, strerror(errno));
	exit(1);
}

_Noreturn static void refuse(const char *what)
{
	fprintf(stderr, "spawn: %s\n", what);
	exit(2);
}

static int64_t now_ns(void)
{
	struct timespec t;
	(void)clock_gettime(CLOCK_MONOTONIC, &t); /* cannot fail for this clock */
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static double time_us(struct timeval t)
{
	return (double)t.tv_sec * 1e6 + (double)t.tv_usec;
}

static char *next_field(char **rest)
{
	char *field = strsep(rest, "\t\n");
	if (!field || (!*rest && !*field))
		refuse("a plan line has too few fields");
	return field;
}

static void parse_request(char *line, struct request *r)
{
	*r = (struct request){0};
	char *rest = line;
	r->label = next_field(&rest);
	r->netns = next_field(&rest);
	r->stdin_path = next_field(&rest);
	size_t n = 0;
	for (char *word; strcmp(word = next_field(&rest), "--") != 0; r->env[n++] = word)
		if (n == WORDS - 1)
			refuse("a plan line is too long");
	n = 0;
	for (char *word; (word = strsep(&rest, "\t\n")) && *word; r->argv[n++] = word)
		if (n == WORDS - 1)
			refuse("a plan line is too long");
	if (n == 0)
		refuse("a plan line names no program");
}

/* Entering a namespace is not part of what is measured; most often it is the same as before. */
static void enter(const char *path)
{
	static char current[256];
	if (strcmp(path, current) == 0)
		return;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || setns(fd, CLONE_NEWNET) < 0)
		die(path);
	(void)close(fd);
	(void)snprintf(current, sizeof(current), "%s", path);
}

static void start(struct slot *s, struct request *r)
{
	enter(r->netns);
	if (ftruncate(s->out, 0) < 0 || lseek(s->out, 0, SEEK_SET) < 0)
		die("output");
	(void)snprintf(s->label, sizeof(s->label), "%s", r->label);
	posix_spawn_file_actions_t files;
	if (posix_spawn_file_actions_init(&files) != 0 ||
		posix_spawn_file_actions_addopen(&files, 0, r->stdin_path, O_RDONLY, 0) != 0 ||
		posix_spawn_file_actions_adddup2(&files, s->out, 1) != 0 ||
		posix_spawn_file_actions_adddup2(&files, s->out, 2) != 0)
		refuse("cannot prepare a start");
	s->start_ns = now_ns();
	errno = posix_spawn(&s->pid, r->argv[0], &files, NULL, r->argv, r->env);
	if (errno != 0)
		die(r->argv[0]);
	(void)posix_spawn_file_actions_destroy(&files);
}

static void print_output(int fd)
{
	char text[512];
	ssize_t n = pread(fd, text, sizeof(text), 0);
	printf(", \"output\": \"");
	for (ssize_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)text[i];
		if (c < ' ' || c > '~' || c == '"' || c == '\\')
			printf("\\u%04x", c);
		else
			putchar(c);
	}
	putchar('"');
}

static struct slot *slot_of(struct slot *slots, size_t n, pid_t pid)
{
	for (size_t i = 0; i < n; i++)
		if (slots[i].pid == pid)
			return &slots[i];
	return NULL;
}

/* Waits for one child, reports it and returns its slot, free again. */
static struct slot *finish(struct slot *slots, size_t n)
{
	int status;
	struct rusage usage;
	pid_t pid = wait4(-1, &status, 0, &usage);
	int64_t end_ns = now_ns();
	struct slot *s = pid > 0 ? slot_of(slots, n, pid) : NULL;
	if (!s)
		die("wait");
	double cpu_us = time_us(usage.ru_utime) + time_us(usage.ru_stime);
	int code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
	printf("{\"label\": \"%s\", \"us\": %.1f, \"cpu_us\": %.1f, \"maxrss_kib\": %ld, "
	       "\"status\": %d",
		s->label, (double)(end_ns - s->start_ns) / 1000, cpu_us, usage.ru_maxrss, code);
	if (code != 0)
		print_output(s->out);
	printf("}\n");
	s->pid = 0;
	return s;
}

static void run(struct slot *slots, size_t at_once)
{
	char *line = NULL;
	size_t room = 0, busy = 0;
	while (getline(&line, &room, stdin) > 0) {
		struct request r;
		parse_request(line, &r);
		struct slot *s = busy < at_once ? slot_of(slots, at_once, 0) : NULL;
		if (s)
			busy++;
		else
			s = finish(slots, at_once);
		start(s, &r);
	}
	free(line);
	for (; busy > 0; busy--)
		(void)finish(slots, at_once);
}

int main(int argc, char **argv)
{
	long at_once = argc == 2 ? strtol(argv[1], NULL, 10) : 0;
	if (at_once < 1 || at_once > SLOTS)
		refuse("usage: spawn AT_ONCE < PLAN (at most 64 at once)");
	static struct slot slots[SLOTS];
	for (long i = 0; i < at_once; i++)
		if ((slots[i].out = memfd_create("output", MFD_CLOEXEC)) < 0)
			die("memfd_create");
	int64_t start_ns = now_ns();
	run(slots, (size_t)at_once);
	double wall_us = (double)(now_ns() - start_ns) / 1000;
	struct rusage own;
	(void)getrusage(RUSAGE_SELF, &own); /* cannot fail with these arguments */
	printf("{\"wall_us\": %.1f, \"own_maxrss_kib\": %ld}\n", wall_us, own.ru_maxrss);
	return 0;
}
