/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The log of an executable. Each event is one line and one write(), so that lines of several
 * processes in one file do not mix. On stderr a line is "roost: warning: ..."; in the file time and
 * process come first, since there nobody else adds them.
 *
 * This is the one mutable global of the project: where the log goes is a property of the process,
 * and passing it through every function would say nothing. A log that cannot be written is not an
 * error of the work being logged, so results of writing are ignored here.
 */
#include "lib/log.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "lib/text.h"

#define LINE 1024

static struct {
	const char *name;
	enum log_level level;
	int file; /* -1: none */
} sink = {.name = "roost", .level = LOG_LEVEL_WARNING, .file = -1};

static const char *const level_names[] = {
	[LOG_LEVEL_ERROR] = "error",
	[LOG_LEVEL_WARNING] = "warning",
	[LOG_LEVEL_INFO] = "info",
	[LOG_LEVEL_DEBUG] = "debug",
};

void log_init(const char *name)
{
	sink.name = name;
	sink.level = LOG_LEVEL_WARNING;
	if (sink.file >= 0)
		(void)close(sink.file);
	sink.file = -1;
}

int log_parse_level(const char *s, enum log_level *out)
{
	int i = TEXT_INDEX(s, level_names);
	if (i < 0)
		return -EINVAL;
	*out = (enum log_level)i;
	return 0;
}

void log_set_level(enum log_level level)
{
	sink.level = level;
}

static int log_open(const char *path)
{
	return open(path,
		O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY | O_NONBLOCK,
		0600);
}

/* Several processes may do this at once: whoever comes second moves a young file, or none. */
static bool log_begin_anew(int fd, const char *path, uint64_t max_bytes)
{
	struct stat st;
	char old[PATH_MAX];
	if (!max_bytes || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) ||
		(uint64_t)st.st_size < max_bytes)
		return false;
	return snprintf(old, sizeof(old), "%s.1", path) < (int)sizeof(old) &&
	       rename(path, old) == 0;
}

int log_open_file(const char *path, uint64_t max_bytes, struct err *e)
{
	int fd = log_open(path);
	if (fd >= 0 && log_begin_anew(fd, path, max_bytes)) {
		(void)close(fd);
		fd = log_open(path);
	}
	if (fd < 0)
		return err_set(e, errno, "cannot open log file %s: %s", path, strerror(errno));
	if (sink.file >= 0)
		(void)close(sink.file);
	sink.file = fd;
	return 0;
}

static void log_put_line(int fd, const char *prefix, enum log_level level, const char *message)
{
	char line[LINE + 128];
	struct text t = TEXT_ON(line);
	text_add(&t, "%s: %s: %s", prefix, level_names[level], message);
	if (t.cut)
		t.len--;
	t.buf[t.len] = '\n';
	(void)!write(fd, t.buf, t.len + 1);
}

static void log_put(enum log_level level, const char *fmt, va_list args)
	__attribute__((format(printf, 2, 0)));

static void log_put(enum log_level level, const char *fmt, va_list args)
{
	if (level > sink.level)
		return;
	int saved = errno;
	char raw[LINE];
	char message[LINE];
	(void)vsnprintf(raw, sizeof(raw), fmt, args);
	(void)text_clean(message, sizeof(message), raw);
	log_put_line(STDERR_FILENO, sink.name, level, message);
	if (sink.file >= 0) {
		char prefix[96];
		time_t now = time(NULL);
		struct tm tm;
		size_t n = strftime(
			prefix, sizeof(prefix), "%Y-%m-%dT%H:%M:%SZ ", gmtime_r(&now, &tm));
		(void)snprintf(prefix + n, sizeof(prefix) - n, "%s[%d]", sink.name, (int)getpid());
		log_put_line(sink.file, prefix, level, message);
	}
	errno = saved;
}

#define DEFINE(function, level)                                                                    \
	void function(const char *fmt, ...)                                                        \
	{                                                                                          \
		va_list args;                                                                      \
		va_start(args, fmt);                                                               \
		log_put(level, fmt, args);                                                         \
		va_end(args);                                                                      \
	}

DEFINE(log_error, LOG_LEVEL_ERROR)
DEFINE(log_warning, LOG_LEVEL_WARNING)
DEFINE(log_info, LOG_LEVEL_INFO)
DEFINE(log_debug, LOG_LEVEL_DEBUG)
