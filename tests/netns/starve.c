/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory that runs out, linked into the CNI executables of tests/netns/memory_test.py: the linker
 * leads their calls of these functions (--wrap) here, those of archives among them. It works for a
 * static executable too, which no preloaded library reaches.
 *
 * ROOST_STARVE=N: the Nth call fails. ROOST_STARVE_FROM=N: it and all that follow, so that whoever
 * reports the first finds no memory either. "starved" on stderr says that it happened.
 */
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/types.h>
#include <unistd.h>

void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t size);
void *__real_reallocarray(void *p, size_t n, size_t size);
char *__real_strdup(const char *s);
void *__real_mmap(void *at, size_t len, int prot, int flags, int fd, off_t offset);
pid_t __real_fork(void);

void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t size);
void *__wrap_reallocarray(void *p, size_t n, size_t size);
char *__wrap_strdup(const char *s);
void *__wrap_mmap(void *at, size_t len, int prot, int flags, int fd, off_t offset);
pid_t __wrap_fork(void);

static bool is_starved(void)
{
	static long calls;
	const char *one = getenv("ROOST_STARVE");
	const char *from = getenv("ROOST_STARVE_FROM");
	calls++;
	if (!(one && calls == strtol(one, NULL, 10)) && !(from && calls >= strtol(from, NULL, 10)))
		return false;
	(void)!write(STDERR_FILENO, "starved\n", strlen("starved\n"));
	errno = ENOMEM;
	return true;
}

void *__wrap_malloc(size_t size)
{
	return is_starved() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t n, size_t size)
{
	return is_starved() ? NULL : __real_calloc(n, size);
}

void *__wrap_realloc(void *p, size_t size)
{
	return is_starved() ? NULL : __real_realloc(p, size);
}

void *__wrap_reallocarray(void *p, size_t n, size_t size)
{
	return is_starved() ? NULL : __real_reallocarray(p, n, size);
}

char *__wrap_strdup(const char *s)
{
	return is_starved() ? NULL : __real_strdup(s);
}

void *__wrap_mmap(void *at, size_t len, int prot, int flags, int fd, off_t offset)
{
	return is_starved() ? MAP_FAILED : __real_mmap(at, len, prot, flags, fd, offset);
}

pid_t __wrap_fork(void)
{
	return is_starved() ? -1 : __real_fork();
}
