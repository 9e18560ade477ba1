/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The identity of this run of the kernel and its clocks. The boot id is read from procfs each time:
 * a process lives for milliseconds, so there is nothing to cache, and containers that hide
 * /proc/sys would hide it from a cache as well. CLOCK_BOOTTIME counts suspended time too: an
 * address that was released before the lid was closed has cooled down after it.
 */
#include "lib/boot.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "lib/hash.h"
#include "lib/mem.h"

#define BOOT_ID_PATH "/proc/sys/kernel/random/boot_id"

/* It becomes part of file names: nothing but hexadecimal digits and dashes. */
static bool is_boot_id(const char *s)
{
	return strspn(s, "0123456789abcdef-") == BOOT_ID_TEXT - 1 && s[BOOT_ID_TEXT - 1] == '\n';
}

int boot_id(char out[BOOT_ID_TEXT], struct err *e)
{
	CLEANUP_FD int fd = open(BOOT_ID_PATH, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return err_set(e, errno, "cannot open %s: %s", BOOT_ID_PATH, strerror(errno));
	char text[BOOT_ID_TEXT + 2];
	ssize_t n = read(fd, text, sizeof(text) - 1);
	if (n < 0)
		return err_set(e, errno, "cannot read %s: %s", BOOT_ID_PATH, strerror(errno));
	text[n] = '\0';
	if (!is_boot_id(text))
		return err_set(e, EBADMSG, "%s does not hold a boot id", BOOT_ID_PATH);
	memcpy(out, text, BOOT_ID_TEXT - 1);
	out[BOOT_ID_TEXT - 1] = '\0';
	return 0;
}

/* The first line of a small file; "" when it cannot be read. */
static void read_line(const char *path, char out[64])
{
	CLEANUP_FD int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	ssize_t n = fd < 0 ? 0 : read(fd, out, 63);
	out[n > 0 ? n : 0] = '\0';
	out[strcspn(out, "\n")] = '\0';
}

void boot_machine(char out[BOOT_MACHINE_TEXT])
{
	char system[64];
	char board[64];
	char both[130];
	read_line("/etc/machine-id", system);
	read_line("/sys/class/dmi/id/product_uuid", board);
	out[0] = '\0';
	if (!*system && !*board)
		return;
	int len = snprintf(both, sizeof(both), "%s/%s", system, board);
	struct hash h = hash_of(both, (size_t)len);
	hash_format(&h, out);
}

uint64_t boot_now_ns(void)
{
	struct timespec t;
	(void)clock_gettime(CLOCK_BOOTTIME, &t); /* cannot fail on any kernel we run on */
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

int64_t boot_now_ms(void)
{
	return (int64_t)(boot_now_ns() / 1000000);
}

int64_t boot_wall_s(void)
{
	struct timespec t;
	(void)clock_gettime(CLOCK_REALTIME, &t);
	return t.tv_sec;
}

char *boot_format_time(int64_t wall_s, char out[BOOT_TIME_TEXT])
{
	time_t t = wall_s;
	struct tm tm;
	if (!gmtime_r(&t, &tm) || strftime(out, BOOT_TIME_TEXT, "%Y-%m-%dT%H:%M:%SZ", &tm) == 0)
		(void)snprintf(out, BOOT_TIME_TEXT, "unknown");
	return out;
}

bool boot_parse_time(const char *text, int64_t *wall_s)
{
	struct tm tm = {0};
	char again[BOOT_TIME_TEXT];
	const char *end = strptime(text, "%Y-%m-%dT%H:%M:%SZ", &tm);
	if (!end || *end)
		return false;
	int64_t s = timegm(&tm);
	if (strcmp(boot_format_time(s, again), text) != 0)
		return false; /* strptime() takes more than we write */
	*wall_s = s;
	return true;
}
