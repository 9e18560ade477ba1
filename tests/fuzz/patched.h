/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * A file that was sound once, for targets whose input is what became of it: patches, each four bytes of
 * place (little-endian, counted from the used pages' beginning, and round), one byte of length and the
 * bytes. A patch without bytes cuts the file there.
 */
#include "tests/fuzz/fuzz.h"

#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/mem.h"

struct patched {
	char path[96];
	uint8_t *sound; /* the pages that are used */
	size_t used;
	off_t size; /* of the file; the rest is a hole */
};

/* Remembers the file as it is. */
static inline void patched_remember(struct patched *p, size_t most)
{
	struct stat st;
	int fd = open(p->path, O_RDONLY | O_CLOEXEC);
	CHECK(fd >= 0 && fstat(fd, &st) == 0);
	p->size = st.st_size;
	p->sound = mem_new(most, 1);
	ssize_t n = read(fd, p->sound, most);
	CHECK(n > 0);
	p->used = (size_t)n;
	while (p->used > 1 && !p->sound[p->used - 1])
		p->used--;
	(void)close(fd);
}

/* Writes the file as the input has it. Whether bytes were changed, and not only cut off: LMDB copies a page
 * by what the page says of itself before it changes it, so such a file is only read here. */
static inline bool patched_write(const struct patched *p, const uint8_t *data, size_t size)
{
	CLEANUP_FREE uint8_t *bytes = mem_new(p->used, 1);
	off_t end = p->size;
	bool changed = false;
	memcpy(bytes, p->sound, p->used);
	while (size >= 5) {
		uint32_t place = data[0] | (uint32_t)data[1] << 8 | (uint32_t)data[2] << 16 |
				 (uint32_t)data[3] << 24;
		size_t len = data[4];
		data += 5;
		size -= 5;
		if (len == 0)
			end = place % p->size;
		for (; len && size; len--, size--, place++, changed = true)
			bytes[place % p->used] = *data++;
	}
	int fd = open(p->path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	CHECK(fd >= 0);
	CHECK(write(fd, bytes, p->used) == (ssize_t)p->used);
	CHECK(ftruncate(fd, end) == 0);
	(void)close(fd);
	return changed;
}

/* What a fault leaves: the section is left in the middle of its reader. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
	return "detect_leaks=0";
}
