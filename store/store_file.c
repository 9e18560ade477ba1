/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The driver "file:": documents in an LMDB file (store/store_db.c), shared by the processes of one
 * machine. Reads and commits are done where they are asked for, which takes as long as the disk;
 * only a commit that meets another process' commit is tried again a moment later.
 *
 * A watch is a list, page by page, then what the log says behind the revision at which the list
 * began. Between two pages others may change documents; the log tells those (again) afterwards.
 * When the log no longer reaches back so far the list begins again: that is this driver's
 * compaction.
 *
 * A store that is damaged, removed or replaced is a trouble, in which watches are silent; every MEND_MS
 * it is looked whether there is a sound one again, of which they begin anew.
 *
 * Other processes' commits are noticed by inotify on a file that is touched after each, and, since
 * a process can be killed between the two, by a check every CHECK_MS.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "lib/boot.h"
#include "lib/mem.h"
#include "store/store_db.h"
#include "store/store_driver.h"
#include "lib/text.h"

#define CHECK_MS 5000
#define MEND_MS 1000   /* between two looks whether a damaged store was mended */
#define MEND_SHARE 20  /* of the time at most goes into these looks */
#define BUSY_MS_MAX 20 /* between two tries to get the lock */
#define NEVER INT64_MAX

enum phase { WRITE, GET, LIST, CHANGES };

struct request {
	struct request *next;
	uint64_t id;
	enum phase phase;
	bool once, over;
	/* WRITE */
	struct store_write *write;
	int64_t deadline_ms, not_before_ms;
	unsigned int tries;
	/* GET, LIST, CHANGES */
	char *name; /* key or prefix */
	char after[STORE_KEY_MAX];
	bool restart_due, current_due;
	int64_t seen; /* the revision up to which everything is told */
	uint64_t store_id;
	struct store_db_page page;
	size_t at;		   /* in the page */
	struct store_event result; /* over */
	struct err why;
};

struct file {
	struct store_db *db;
	int inotify;
	struct request *requests;
	struct request *told; /* over, but the caller holds its strings */
	int64_t check_at_ms;
	struct store_trouble trouble;
};

static struct request *request_add(struct file *f, uint64_t id, enum phase phase)
{
	struct request *r = mem_new(1, sizeof(*r));
	r->id = id;
	r->phase = phase;
	struct request **end = &f->requests;
	while (*end)
		end = &(*end)->next;
	*end = r;
	return r;
}

static void request_unlink(struct file *f, struct request *r)
{
	struct request **p = &f->requests;
	while (*p != r)
		p = &(*p)->next;
	*p = r->next;
	r->next = NULL;
}

static void request_free(struct request *r)
{
	if (!r)
		return;
	store_write_free(r->write);
	free(r->name);
	store_db_page_clear(&r->page);
	free(r);
}

static void request_drop(struct file *f, struct request *r)
{
	request_unlink(f, r);
	request_free(r);
}

static void request_end(struct request *r, enum store_event_kind kind, int64_t revision, int error)
{
	r->over = true;
	r->result = (struct store_event){.kind = kind, .revision = revision, .error = error};
}

static struct store_event request_event(const struct request *r, const struct store_db_item *item)
{
	return (struct store_event){
		.id = r->id,
		.kind = item->deleted ? STORE_DELETE : STORE_PUT,
		.revision = item->revision,
		.key = item->key,
		.value = item->value,
	};
}

/* rc: what came of a request. A store that is not usable is soon looked at. */
static void file_note_trouble(struct file *f, int rc, const struct err *e)
{
	if (rc >= 0) {
		f->trouble.text[0] = '\0';
		return;
	}
	store_trouble_set(&f->trouble, "%s", e->text);
	int64_t soon = boot_now_ms() + MEND_MS;
	if ((rc == -EUCLEAN || rc == -ESTALE) && soon < f->check_at_ms)
		f->check_at_ms = soon;
}

/* ---- working ---- */

static void request_try_write(struct file *f, struct request *r, int64_t now)
{
	int64_t revision = 0;
	if (r->over || r->not_before_ms > now)
		return;
	int rc = store_db_write(f->db, r->write, &revision, &r->why);
	if (rc == -EBUSY && now < r->deadline_ms) {
		int64_t wait = ++r->tries < BUSY_MS_MAX ? r->tries : BUSY_MS_MAX;
		r->not_before_ms = now + 1 + arc4random_uniform((uint32_t)wait);
		return;
	}
	file_note_trouble(f, rc, &r->why);
	if (rc == -EBUSY)
		rc = -ETIMEDOUT;
	request_end(r,
		rc > 0 ? STORE_DONE
		: rc   ? STORE_FAILED
		       : STORE_CONFLICT,
		revision, rc < 0 ? rc : 0);
}

static void request_get(struct file *f, struct request *r)
{
	int rc = r->over ? 0 : store_db_get(f->db, r->name, &r->page, &r->why);
	if (rc < 0)
		request_end(r, STORE_FAILED, 0, rc);
	if (r->over)
		return;
	r->over = true;
	r->result = request_event(r, &r->page.items[0]);
}

static int request_fetch_list(struct file *f, struct request *r)
{
	int rc = store_db_list(f->db, r->name, r->after, r->once, &r->page, &r->why);
	if (rc < 0)
		return rc;
	if (!*r->after) {
		r->seen = r->page.revision;
		r->store_id = store_db_id(f->db);
		r->restart_due = true;
	}
	r->current_due = !r->page.more;
	if (r->page.count)
		(void)text_copy(r->after, sizeof(r->after), r->page.items[r->page.count - 1].key);
	return 0;
}

static int request_fetch_changes(struct file *f, struct request *r)
{
	int64_t revision;
	int rc = store_db_revision(f->db, &revision, &r->why);
	if (rc < 0 || revision == r->seen)
		return rc;
	rc = store_db_changes(f->db, r->name, r->seen, &r->page, &r->why);
	if (rc < 0)
		return rc;
	if (rc > 0) {
		r->seen = r->page.revision;
		return 0;
	}
	store_db_page_clear(&r->page);
	r->phase = LIST;
	r->after[0] = '\0';
	return request_fetch_list(f, r);
}

/* Something to tell for a watch that has nothing. */
static void request_fetch(struct file *f, struct request *r)
{
	if (r->over || r->restart_due || r->current_due || r->at < r->page.count)
		return;
	store_db_page_clear(&r->page);
	r->at = 0;
	int rc = r->phase == LIST ? request_fetch_list(f, r) : request_fetch_changes(f, r);
	file_note_trouble(f, rc, &r->why);
	if (rc < 0 && r->once)
		request_end(r, STORE_FAILED, 0, rc);
}

static int file_watch_changes(struct file *f, struct err *e)
{
	if (inotify_add_watch(f->inotify, store_db_changed(f->db),
		    IN_ATTRIB | IN_MODIFY | IN_DELETE_SELF) < 0)
		return err_set(
			e, errno, "cannot watch %s: %s", store_db_changed(f->db), strerror(errno));
	return 0;
}

/* Another store than the one before: lists begin anew, and what is not told yet is of the old one. */
static void request_begin_anew(struct request *r)
{
	if (r->phase == WRITE || r->phase == GET || r->over)
		return;
	store_db_page_clear(&r->page);
	r->phase = LIST;
	r->at = 0;
	r->after[0] = '\0';
	r->restart_due = r->current_due = false;
}

static void file_check(struct file *f, int64_t now)
{
	struct err e;
	f->check_at_ms = now + CHECK_MS;
	int rc = store_db_check(f->db, &e);
	if (rc > 0) {
		rc = file_watch_changes(f, &e);
		for (struct request *r = f->requests; r; r = r->next)
			request_begin_anew(r);
		file_note_trouble(f, 0, &e);
	}
	if (rc >= 0)
		return;
	file_note_trouble(f, rc, &e);
	int64_t rest = MEND_SHARE * (boot_now_ms() - now);
	f->check_at_ms = now + (rest > MEND_MS ? rest : MEND_MS);
}

static void file_work(struct file *f, uint64_t only)
{
	char events[4096] __attribute__((aligned(__alignof__(struct inotify_event))));
	while (read(f->inotify, events, sizeof(events)) > 0)
		; /* what happened is asked of the store itself */
	int64_t now = boot_now_ms();
	if (f->check_at_ms <= now)
		file_check(f, now);
	for (struct request *r = f->requests; r; r = r->next) {
		if (r->phase == WRITE)
			request_try_write(f, r, now);
		else if (!only || r->id == only)
			r->phase == GET ? request_get(f, r) : request_fetch(f, r);
	}
}

/* ---- handing out ---- */

static bool request_tell_watch(struct request *r, struct store_event *out)
{
	if (r->restart_due) {
		r->restart_due = false;
		*out = (struct store_event){.id = r->id,
			.kind = STORE_RESTART,
			.revision = r->seen,
			.store_id = r->store_id};
		return true;
	}
	if (r->at < r->page.count) {
		*out = request_event(r, &r->page.items[r->at++]);
		return true;
	}
	if (!r->current_due)
		return false;
	r->current_due = false;
	r->phase = CHANGES;
	r->over = r->once;
	*out = (struct store_event){.id = r->id, .kind = STORE_CURRENT};
	return true;
}

static bool file_tell(struct file *f, uint64_t only, struct store_event *out)
{
	for (struct request *r = f->requests; r; r = r->next) {
		if (only && r->id != only)
			continue;
		bool is_watch = r->phase >= LIST && r->result.kind != STORE_FAILED;
		if (is_watch ? !request_tell_watch(r, out) : !r->over)
			continue;
		if (!is_watch) {
			*out = r->result;
			out->id = r->id;
			out->what = out->kind == STORE_FAILED ? r->why.text : NULL;
		}
		if (r->over) {
			request_unlink(f, r);
			f->told = r;
		}
		return true;
	}
	return false;
}

static bool file_next(void *driver, uint64_t only, struct store_event *out)
{
	struct file *f = driver;
	request_free(f->told);
	f->told = NULL;
	if (file_tell(f, only, out))
		return true;
	file_work(f, only);
	return file_tell(f, only, out);
}

/* ---- the interface ---- */

static void file_close(void *driver)
{
	struct file *f = driver;
	if (!f)
		return;
	while (f->requests)
		request_drop(f, f->requests);
	request_free(f->told);
	mem_cleanup_fd(&f->inotify);
	store_db_close(f->db);
	free(f);
}

static int file_open(void **out, const struct store_options *o, const char *where, struct err *e)
{
	if (*where != '/')
		return err_set(
			e, EINVAL, "the store's folder in \"%s\" must be an absolute path", o->url);
	struct file *f = mem_new(1, sizeof(*f));
	f->inotify = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	int r = f->inotify < 0 ? err_set(e, errno, "cannot watch a store: %s", strerror(errno)) : 0;
	if (r == 0)
		r = store_db_open(&f->db, where, o->existing, e);
	if (r == 0)
		r = file_watch_changes(f, e);
	if (r < 0) {
		file_close(f);
		return r;
	}
	*out = f;
	return 0;
}

static void file_write(
	void *driver, uint64_t id, const struct store_write *w, int64_t deadline_ms, bool fail_fast)
{
	(void)fail_fast;
	struct file *f = driver;
	struct request *r = request_add(f, id, WRITE);
	r->write = store_write_copy(w);
	r->deadline_ms = deadline_ms;
	request_try_write(f, r, boot_now_ms());
}

static void file_get(void *driver, uint64_t id, const char *key)
{
	request_add(driver, id, GET)->name = mem_strdup(key);
}

static void file_watch(void *driver, uint64_t id, const char *prefix, bool once)
{
	struct request *r = request_add(driver, id, LIST);
	r->name = mem_strdup(prefix);
	r->once = once;
}

static void file_cancel(void *driver, uint64_t id)
{
	struct file *f = driver;
	struct request *r = f->requests;
	while (r && r->id != id)
		r = r->next;
	if (r)
		request_drop(f, r);
}

static int file_fd(const void *driver)
{
	const struct file *f = driver;
	return f->inotify;
}

static int64_t file_deadline_ms(const void *driver)
{
	const struct file *f = driver;
	int64_t at = f->check_at_ms;
	for (const struct request *r = f->requests; r; r = r->next)
		if (r->phase == WRITE && !r->over && r->not_before_ms < at)
			at = r->not_before_ms;
	return at;
}

static const char *file_trouble(const void *driver, int64_t *since_s)
{
	const struct file *f = driver;
	*since_s = f->trouble.since_s;
	return *f->trouble.text ? f->trouble.text : NULL;
}

const struct store_driver store_file_driver = {
	.timeout_ms = 2000,
	.open = file_open,
	.close = file_close,
	.write = file_write,
	.get = file_get,
	.watch = file_watch,
	.cancel = file_cancel,
	.next = file_next,
	.fd = file_fd,
	.deadline_ms = file_deadline_ms,
	.trouble = file_trouble,
};
