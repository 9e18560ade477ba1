/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The file appears by a rename, as runtimes watch the folder and take the first file in the order of
 * names. So a file that comes before ours means that pods get another network, and one behind ours
 * would be taken in the moment in which ours is gone: both are named. Configurations of the loopback
 * alone are no network.
 *
 * The folder is watched by inotify. A machine may have no instance of it left, and a folder may be
 * removed and made again: then the looks that come every half minute do. Nobody is fought with: the
 * file is put back once a second at most, and who takes it away again and again is a problem.
 */
#include "agent/conflist.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "lib/file.h"
#include "lib/json.h"
#include "lib/log.h"
#include "lib/mem.h"
#include "lib/text.h"

#define BYTES_MAX 65536 /* of a configuration */
#define FILES_MAX 4096	/* of the folder are looked at */
#define REST_MS 1000	/* between two times that it is put there */
#define FIGHT_MS 600000 /* three times within that are a problem */
#define EVENTS                                                                                     \
	(IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_CLOSE_WRITE | IN_DELETE_SELF)
#define TYPE "roost"

struct dir_path {
	char text[PATH_MAX];
};

static const char *folder_of(const struct conflist *c, struct dir_path *out)
{
	(void)text_copy(out->text, sizeof(out->text), c->file);
	return dirname(out->text);
}

static const char *name_of(const struct conflist *c)
{
	return strrchr(c->file, '/') + 1;
}

/* ---- What the folder tells ---- */

/* Again and again: a folder that was removed takes its watch along. Nothing is lost but time. */
static void watch_folder(struct conflist *c)
{
	struct dir_path path;
	if (c->watch >= 0)
		(void)inotify_add_watch(c->watch, folder_of(c, &path), EVENTS | IN_ONLYDIR);
}

int conflist_open(struct conflist *c, const char *file, const char *template, struct err *e)
{
	*c = (struct conflist){
		.file = file, .template = template, .wait = WAIT_CLOSED, .watch = -1};
	int r = wait_open(&c->wait, e);
	if (r < 0 || !*file)
		return r;
	c->watch = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	if (c->watch < 0)
		log_info("%s is looked at every half minute only: %s", file, strerror(errno));
	else
		r = wait_add(&c->wait, c->watch, EPOLLIN, 0, e);
	return r;
}

void conflist_close(struct conflist *c)
{
	if (!c->file)
		return;
	if (c->watch >= 0)
		(void)close(c->watch);
	wait_close(&c->wait);
	*c = (struct conflist){0};
}

int conflist_fd(const struct conflist *c)
{
	return wait_fd(&c->wait);
}

bool conflist_take(struct conflist *c)
{
	struct epoll_event ignored;
	char events[4096] __attribute__((aligned(__alignof__(struct inotify_event))));
	bool any = false;
	if (c->watch < 0)
		return false;
	(void)wait_ready(&c->wait, &ignored, 1);
	while (read(c->watch, events, sizeof(events)) > 0)
		any = true;
	c->stirred |= any;
	return any;
}

/* ---- What is in files ---- */

/* What path holds; NULL: nothing that can be read (*e says why). A setting's file may be a link, as
 * Kubernetes makes them. */
static char *read_text(const char *path, size_t *len, struct err *e)
{
	char *text = NULL;
	CLEANUP_FD int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (fd < 0) {
		(void)err_set(e, errno, "cannot open %.200s: %s", path, strerror(errno));
		return NULL;
	}
	if (file_read_fd(fd, BYTES_MAX, &text, len, e) == 0)
		return text;
	err_add(e, "%.200s", path);
	return NULL;
}

static bool has_type(const json_t *plugin, const char *type)
{
	const char *s = json_string_value(json_object_get(plugin, "type"));
	return s && strcmp(s, type) == 0;
}

/* A list, or a single plugin: whether one of its plugins, or each, is of that type. */
static bool is_of_type(const json_t *doc, const char *type, bool each)
{
	const json_t *plugins = json_object_get(doc, "plugins");
	size_t n = 0;
	if (!plugins)
		return has_type(doc, type);
	for (size_t i = 0; i < json_array_size(plugins); i++)
		n += has_type(json_array_get(plugins, i), type);
	return n > 0 && (!each || n == json_array_size(plugins));
}

static char *read_template(const struct conflist *c, size_t *len, struct err *e)
{
	CLEANUP_JSON json_t *doc = NULL;
	CLEANUP_FREE char *text = read_text(c->template, len, e);
	if (!text)
		return NULL;
	if (json_parse(text, *len, &doc, e) < 0) {
		err_add(e, "%.200s", c->template);
		return NULL;
	}
	if (!is_of_type(doc, TYPE, false)) {
		(void)err_set(
			e, EINVAL, "%.200s has no plugin of the type \"" TYPE "\"", c->template);
		return NULL;
	}
	char *taken = text;
	text = NULL;
	return taken;
}

/* ---- Others ---- */

static bool is_conf(const char *name)
{
	static const char *const ends[] = {".conf", ".conflist", ".json"};
	const char *dot = strrchr(name, '.');
	return dot && *name != '.' && TEXT_INDEX(dot, ends) >= 0;
}

static bool is_loopback(const char *folder, const char *name)
{
	char path[PATH_MAX];
	size_t len = 0;
	struct err ignored;
	CLEANUP_JSON json_t *doc = NULL;
	(void)snprintf(path, sizeof(path), "%s/%s", folder, name);
	CLEANUP_FREE char *text = read_text(path, &len, &ignored);
	return text && json_parse(text, len, &doc, &ignored) == 0 &&
	       is_of_type(doc, "loopback", true);
}

struct others {
	char before[NAME_MAX + 1], behind[NAME_MAX + 1]; /* the first of each; "" none */
};

static void note_other(struct others *o, const char *name, const char *ours)
{
	char *first = strcmp(name, ours) < 0 ? o->before : o->behind;
	if (!*first || strcmp(name, first) < 0)
		(void)text_copy(first, sizeof(o->before), name);
}

static void find_others(const struct conflist *c, const char *folder, struct others *out)
{
	DIR *dir = opendir(folder);
	const struct dirent *d;
	*out = (struct others){0};
	for (int i = 0; dir && i < FILES_MAX && (d = readdir(dir)); i++)
		if (is_conf(d->d_name) && strcmp(d->d_name, name_of(c)) != 0 &&
			!is_loopback(folder, d->d_name))
			note_other(out, d->d_name, name_of(c));
	if (dir)
		(void)closedir(dir);
}

static void name_others(struct conflist *c)
{
	struct dir_path path;
	struct others o;
	char shown[PROBLEM_TEXT];
	const char *folder = folder_of(c, &path);
	find_others(c, folder, &o);
	(void)text_clean(shown, sizeof(shown), o.before);
	if (*o.before)
		problems_add_as(&c->problems, "conflist before ours",
			"pods get another network: %s/%.80s comes before %s: remove it, or give "
			"ours an earlier name (conflist.file)",
			folder, shown, name_of(c));
	(void)text_clean(shown, sizeof(shown), o.behind);
	if (*o.behind)
		problems_add_as(&c->problems, "conflist beside ours",
			"%s/%.80s is another network's, and pods would get that one in the moment "
			"in which %s is gone: remove it",
			folder, shown, name_of(c));
}

/* ---- Ours ---- */

/* 1: it is as it shall be, 0: it is another text, -1: there is none. */
static int compare_file(const struct conflist *c, const char *text, size_t len)
{
	size_t there = 0;
	struct err ignored;
	CLEANUP_FREE char *old = read_text(c->file, &there, &ignored);
	if (old)
		return there == len && memcmp(old, text, len) == 0;
	return access(c->file, F_OK) == 0 ? 0 : -1;
}

static int put_file(struct conflist *c, const char *text, size_t len, struct err *e)
{
	struct dir_path path;
	int r = file_make_dir(folder_of(c, &path), 0755, e);
	return r < 0 ? r : file_replace(c->file, 0644, text, len, e);
}

static void note_put(struct conflist *c, bool changed, int64_t now_ms)
{
	if (!c->was_there) {
		log_info("%s is in place: pods can be started", c->file);
		return;
	}
	log_warning("put right: %s, which somebody %s", c->file,
		changed ? "changed, or whose template is another one" : "deleted");
	memmove(c->put_ms + 1, c->put_ms, sizeof(c->put_ms) - sizeof(*c->put_ms));
	c->put_ms[0] = now_ms;
}

static void say_fight(struct conflist *c, int64_t now_ms)
{
	if (c->put_ms[2] && now_ms - c->put_ms[2] < FIGHT_MS)
		problems_add_as(&c->problems, "conflist fight",
			"somebody deletes or changes %s again and again, and each time the "
			"runtime has no network: find out who (auditctl -w %s -p wa)",
			c->file, c->file);
}

/* 0, or after how many ms to try again. */
static int64_t make_right(
	struct conflist *c, const char *text, size_t len, bool may_begin, int64_t now_ms)
{
	struct err e;
	int is = compare_file(c, text, len);
	c->was_there |= is >= 0;
	c->is_there = is >= 0;
	if (is == 1 || (!may_begin && !c->was_there))
		return 0;
	if (c->put_ms[0] && now_ms - c->put_ms[0] < REST_MS)
		return REST_MS;
	if (put_file(c, text, len, &e) < 0) {
		problems_add_as(&c->problems, "conflist",
			"the runtime's network configuration cannot be put in place: %s", e.text);
		return 0;
	}
	note_put(c, is == 0, now_ms);
	c->is_there = c->was_there = true;
	return 0;
}

static bool is_due(const struct conflist *c, bool may_begin, bool look, int64_t now_ms)
{
	return look || c->stirred || (may_begin && !c->is_there) ||
	       (c->again_ms && c->again_ms <= now_ms);
}

int64_t conflist_sync(struct conflist *c, bool may_begin, bool look, int64_t now_ms)
{
	struct err e;
	size_t len = 0;
	int64_t again = 0;
	if (!*c->file || !is_due(c, may_begin, look, now_ms))
		return 0;
	c->problems = (struct problems){0};
	c->stirred = false;
	watch_folder(c);
	CLEANUP_FREE char *text = read_template(c, &len, &e);
	if (text)
		again = make_right(c, text, len, may_begin, now_ms);
	else
		problems_add_as(&c->problems, "conflist template",
			"the runtime's network configuration has no text: %s", e.text);
	watch_folder(c); /* the folder may have been made just now */
	name_others(c);
	say_fight(c, now_ms);
	c->again_ms = again ? now_ms + again : 0;
	return again;
}

bool conflist_is_fine(const struct conflist *c)
{
	return !*c->file || c->is_there;
}
