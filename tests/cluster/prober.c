/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sends a datagram from network namespaces to addresses each millisecond, whether there is anybody or not: a
 * probe for what a pod may receive and send from its first moment on. A namespace may still be without any
 * interface. Lines at stdin, an answer to each at stdout:
 *
 *	send NETNS ADDRESS...	from this namespace (a path) to these addresses, too
 *	stop NETNS		not from there any more
 *	count NETNS		how often this namespace had its turn, and how many datagrams the kernel took
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define PORT 9
#define PERIOD_NS 1000000
#define PLACES 64
#define TARGETS 64
#define LINE 8192

struct target {
	struct sockaddr_storage addr;
	socklen_t len;
	int family;
};

struct place {
	char path[256];
	int fds[2]; /* of IPv4 and IPv6 */
	struct target targets[TARGETS];
	size_t n;
	uint64_t turns, sent;
};

static struct place places[PLACES]; /* path "": free */
static int home;		    /* the namespace of this process */

static void fail(const char *what)
{
	(void)printf("%s: %s\n", what, strerror(errno));
	(void)fflush(stdout);
	exit(1);
}

static int open_in(int ns, int domain)
{
	if (setns(ns, CLONE_NEWNET) < 0)
		fail("setns");
	int fd = socket(domain, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (setns(home, CLONE_NEWNET) < 0)
		fail("setns");
	return fd;
}

static struct place *place_of(const char *path)
{
	for (size_t i = 0; i < PLACES; i++)
		if (strcmp(places[i].path, path) == 0)
			return &places[i];
	return NULL;
}

static struct place *place_make(const char *path)
{
	struct place *p = place_of(path);
	if (p)
		return p;
	p = place_of("");
	int ns = open(path, O_RDONLY | O_CLOEXEC);
	if (!p || ns < 0 || strlen(path) >= sizeof(p->path))
		fail(path);
	*p = (struct place){.fds = {open_in(ns, AF_INET), open_in(ns, AF_INET6)}};
	(void)snprintf(p->path, sizeof(p->path), "%s", path);
	(void)close(ns);
	return p;
}

static void place_add(struct place *p, const char *address)
{
	struct sockaddr_in four = {.sin_family = AF_INET, .sin_port = htons(PORT)};
	struct sockaddr_in6 six = {.sin6_family = AF_INET6, .sin6_port = htons(PORT)};
	if (p->n == TARGETS)
		fail("too many addresses");
	struct target *t = &p->targets[p->n++];
	if (inet_pton(AF_INET, address, &four.sin_addr) == 1) {
		memcpy(&t->addr, &four, sizeof(four));
		t->len = sizeof(four);
		t->family = 0;
	} else if (inet_pton(AF_INET6, address, &six.sin6_addr) == 1) {
		memcpy(&t->addr, &six, sizeof(six));
		t->len = sizeof(six);
		t->family = 1;
	} else {
		fail(address);
	}
}

static void place_stop(struct place *p)
{
	(void)close(p->fds[0]);
	(void)close(p->fds[1]);
	*p = (struct place){0};
}

static void take_line(char *line)
{
	char *rest = line, *word = strsep(&rest, " "), *path = strsep(&rest, " ");
	struct place *p = path ? place_of(path) : NULL;
	if (path && strcmp(word, "send") == 0) {
		p = place_make(path);
		for (char *a; (a = strsep(&rest, " "));)
			place_add(p, a);
	} else if (p && strcmp(word, "count") == 0) {
		(void)printf(
			"%llu %llu\n", (unsigned long long)p->turns, (unsigned long long)p->sent);
		return;
	} else if (p && strcmp(word, "stop") == 0) {
		place_stop(p);
	} else {
		errno = EINVAL;
		fail(word);
	}
	(void)printf("ok\n");
}

static void send_all(void)
{
	for (struct place *p = places; p < places + PLACES; p++) {
		if (!*p->path)
			continue;
		for (size_t i = 0; i < p->n; i++) {
			const struct target *t = &p->targets[i];
			ssize_t r = sendto(p->fds[t->family], "x", 1, MSG_DONTWAIT,
				(const struct sockaddr *)&t->addr, t->len);
			p->sent += r == 1;
		}
		p->turns++;
	}
}

/* false: the input has ended. */
static bool read_lines(char buf[LINE], size_t *used)
{
	ssize_t r = read(STDIN_FILENO, buf + *used, LINE - 1 - *used);
	if (r <= 0)
		return false;
	*used += (size_t)r;
	buf[*used] = '\0';
	for (char *end; (end = strchr(buf, '\n'));) {
		*end++ = '\0';
		take_line(buf);
		*used -= (size_t)(end - buf);
		memmove(buf, end, *used + 1);
	}
	(void)fflush(stdout);
	return true;
}

/* Until the next millisecond; a late one is not made up for. */
static struct timespec time_left(struct timespec *next)
{
	struct timespec now;
	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	int64_t left =
		(next->tv_sec - now.tv_sec) * INT64_C(1000000000) + next->tv_nsec - now.tv_nsec;
	if (left > 0)
		return (struct timespec){.tv_nsec = left};
	send_all();
	*next = now;
	next->tv_nsec += PERIOD_NS;
	next->tv_sec += next->tv_nsec / 1000000000;
	next->tv_nsec %= 1000000000;
	return (struct timespec){0};
}

int main(void)
{
	char buf[LINE];
	size_t used = 0;
	struct timespec next = {0};
	home = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	for (;;) {
		struct pollfd in = {.fd = STDIN_FILENO, .events = POLLIN};
		const struct timespec left = time_left(&next);
		if (ppoll(&in, 1, &left, NULL) > 0 && !read_lines(buf, &used))
			return 0;
	}
}
