/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs a fuzz target without a fuzzer: every file of the folders given as arguments, then a few
 * large inputs that are made here, up to one byte more than the limit of a document, since nobody
 * wants such files in a repository. A finding is an abort or a sanitizer's report, as with the
 * fuzzer.
 */
#include "tests/fuzz/fuzz.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "lib/json.h"
#include "lib/mem.h"

#define LARGEST (JSON_MAX_BYTES + 1)

/* A copy without slack, so that the sanitizer sees a read behind the end. */
static void feed(const char *data, size_t size)
{
	uint8_t *exact = malloc(size ? size : 1);
	if (!exact)
		err_abort("out of memory");
	memcpy(exact, data, size);
	(void)LLVMFuzzerTestOneInput(exact, size);
	free(exact);
}

static int feed_file(const char *path)
{
	FILE *f = fopen(path, "re");
	if (!f) {
		(void)fprintf(stderr, "cannot open %s: %s\n", path, strerror(errno));
		return -1;
	}
	CLEANUP_FREE char *data = mem_new(LARGEST, 1);
	size_t size = fread(data, 1, LARGEST, f);
	(void)fclose(f);
	feed(data, size);
	return 1;
}

/* How many files, or -1. */
static int feed_folder(const char *folder)
{
	DIR *d = opendir(folder);
	if (!d) {
		(void)fprintf(stderr, "cannot open %s: %s\n", folder, strerror(errno));
		return -1;
	}
	int n = 0;
	for (struct dirent *entry = readdir(d); n >= 0 && entry; entry = readdir(d)) {
		if (*entry->d_name == '.')
			continue;
		char path[PATH_MAX];
		(void)snprintf(path, sizeof(path), "%s/%s", folder, entry->d_name);
		n = feed_file(path) < 0 ? -1 : n + 1;
	}
	(void)closedir(d);
	return n;
}

static void put(char *at, const char *bytes, size_t len)
{
	for (size_t i = 0; i < len; i++)
		at[i] = bytes[i];
}

/* before, then part again and again up to size bytes, then after. */
static void feed_repeated(const char *before, const char *part, const char *after, size_t size)
{
	CLEANUP_FREE char *data = mem_new(size, 1);
	size_t head = strlen(before);
	size_t tail = strlen(after);
	size_t len = strlen(part);
	put(data, before, head);
	size_t at = head;
	for (; at + len + tail <= size; at += len)
		put(data + at, part, len);
	memset(data + at, ' ', size - at);
	put(data + at, after, tail);
	feed(data, size);
}

static int feed_large(void)
{
	static const struct {
		const char *before, *part, *after;
	} table[] = {
		{"", " ", "{}"},
		{"", "[", ""},
		{"", "{\"a\":", ""},
		{"{\"name\":\"n\",\"x\":\"", "\\u00e4", "\"}"},
		{"{\"name\":\"", "n", "\"}"},
		{"{\"name\":\"n\",\"x\":[0", ",[]", "]}"},
		{"{\"name\":\"n\",\"runtimeConfig\":{\"ips\":[\"\"", ",\"10.0.0.1\"", "]}}"},
		{"{\"name\":\"n\",\"cniVersion\":\"1.1.0\",\"cni.dev/valid-attachments\":[{}",
			",{\"containerID\":\"a\",\"ifname\":\"b\"}", "]}"},
		{"{\"ips\":[{\"address\":\"10.0.0.1/8\"}", ",{\"address\":\"fd00::1/8\"}", "]}"},
		{"", ";", ""},
		{"IP=1.2.3.4", ",1.2.3.4", ";"},
		{"K8S_POD_NAME=", "\xc3\xa4", ";"},
		{"", "A=B;", ""},
	};
	int n = 0;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		for (size_t size = JSON_MAX_BYTES / 8; size <= LARGEST;
			size += JSON_MAX_BYTES - JSON_MAX_BYTES / 8 + 1, n++)
			feed_repeated(table[i].before, table[i].part, table[i].after, size);
	}
	return n;
}

int main(int argc, char **argv)
{
	int files = 0;
	for (int i = 1; i < argc; i++) {
		int n = feed_folder(argv[i]);
		if (n < 0)
			return 1;
		files += n;
	}
	int large = feed_large();
	(void)printf("%d files and %d large inputs\n", files, large);
	return files > 0 || argc == 1 ? 0 : 1;
}
