/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The front of the cluster store: what both drivers share. It reads the URL, checks requests (a
 * driver only sees keys and sizes that are within the limits), gives out ids, and holds the one
 * descriptor of a store: it wakes when the driver's descriptor is ready, when the driver's next
 * deadline has come, and as long as store_next() may have more. So an owner that calls store_next()
 * once per wake-up misses nothing.
 *
 * The waiting forms ask the driver for the events of their own request only, and wait on the same
 * descriptor. Events of others stay in the driver, which holds them without reading on; nothing
 * is queued here but refusals of requests that were no good.
 */
#include "store/store.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/boot.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/text.h"
#include "lib/wait.h"
#include "store/store_driver.h"

#define WRITE_MS 10000	 /* of a write, unless the caller says something else */
#define WAIT_REQUESTS 5u /* timeouts of a request that a waiting form waits, unless told */

/* A request that was no good; told by store_next(). */
struct refusal {
	struct refusal *next;
	uint64_t id;
	struct err why;
	int error;
};

struct store {
	const struct store_driver *driver;
	void *d;
	unsigned int timeout_ms, wait_ms;
	uint64_t last_id;
	struct wait wait;
	bool awake; /* until store_next() has nothing */
	struct refusal *refusals, *told;
};

/* ---- shared with the drivers ---- */

void store_trouble_set(struct store_trouble *t, const char *fmt, ...)
{
	if (!*t->text)
		t->since_s = boot_now_ms() / 1000;
	char text[sizeof(t->text)];
	va_list args;
	va_start(args, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	(void)text_clean(t->text, sizeof(t->text), text);
}

struct store_write *store_write_copy(const struct store_write *w)
{
	struct store_write *copy = mem_new(1, sizeof(*copy));
	*copy = (struct store_write){
		.key = mem_strdup(w->key),
		.value = w->value ? mem_strdup(w->value) : NULL,
		.revision = w->revision,
	};
	return copy;
}

void store_write_free(struct store_write *w)
{
	if (!w)
		return;
	free((char *)w->key);
	free((char *)w->value);
	free(w);
}

/* ---- opening ---- */

bool store_is_key(const char *s)
{
	size_t len = strnlen(s, STORE_KEY_MAX);
	if (len == 0 || len == STORE_KEY_MAX)
		return false;
	for (; *s; s++)
		if (*s <= ' ' || *s > '~')
			return false;
	return true;
}

/* Of several endpoints each may have a user. */
char *store_show_url(const char *url, char out[STORE_SHOWN])
{
	char raw[STORE_SHOWN];
	struct text t = TEXT_ON(raw);
	*raw = '\0';
	while (*url) {
		size_t len = strcspn(url, ",");
		const char *end = url + len, *at = memrchr(url, '@', len);
		const char *host = strstr(url, "//");
		host = host && at && host < at ? host + 2 : url;
		if (at)
			text_add(&t, "%.*s...%.*s", (int)(host - url), url, (int)(end - at), at);
		else
			text_add(&t, "%.*s", (int)len, url);
		text_add(&t, "%s", *end ? "," : "");
		url = end + (*end != '\0');
	}
	(void)json_clean(out, STORE_SHOWN, raw);
	return out;
}

static int check_options(const struct store_options *o, struct err *e)
{
	if (!store_is_key(o->prefix))
		return err_set(e, EINVAL,
			"the prefix of the store's keys must be 1 to %d printable characters "
			"without white space",
			STORE_KEY_MAX - 1);
	if (!o->cert_file != !o->key_file)
		return err_set(e, EINVAL,
			"a client certificate needs both its certificate file and its key file");
	if (!o->user != !o->password_file || (o->user && (!*o->user || !json_is_utf8(o->user))))
		return err_set(e, EINVAL, "a user of etcd needs a name and a password file");
	return 0;
}

static const struct store_driver *find_driver(const char **url, struct err *e)
{
	static const struct {
		const char *scheme;
		const struct store_driver *driver;
	} table[] = {{"file:", &store_file_driver}, {"etcd:", &store_etcd_driver},
		{"kube:", &store_kube_driver},
		{"kube-podcidr:", &store_podcidr_driver}};
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		size_t len = strlen(table[i].scheme);
		if (strncmp(*url, table[i].scheme, len) != 0)
			continue;
		*url += len;
		return table[i].driver;
	}
	char shown[STORE_SHOWN];
	(void)err_set(e, EINVAL, "\"%.128s\" is no store: it must begin with file:, etcd:, kube: or kube-podcidr:",
		store_show_url(*url, shown));
	return NULL;
}

int store_open(struct store **out, const struct store_options *o, struct err *e)
{
	struct store_options filled = *o;
	const char *where = o->url;
	if (!filled.prefix)
		filled.prefix = "/roost/";
	const struct store_driver *driver = find_driver(&where, e);
	if (!driver)
		return -EINVAL;
	if (!filled.timeout_ms)
		filled.timeout_ms = driver->timeout_ms;
	if (!filled.wait_ms)
		filled.wait_ms = filled.timeout_ms * WAIT_REQUESTS;
	int r = check_options(&filled, e);
	if (r < 0)
		return r;
	struct store *s = mem_new(1, sizeof(*s));
	*s = (struct store){.driver = driver,
		.timeout_ms = filled.timeout_ms,
		.wait_ms = filled.wait_ms,
		.wait = WAIT_CLOSED};
	r = driver->open(&s->d, &filled, where, e);
	if (r == 0)
		r = wait_open(&s->wait, e);
	if (r == 0)
		r = wait_add(&s->wait, driver->fd(s->d), EPOLLIN, 0, e);
	if (r < 0) {
		store_close(s);
		return r;
	}
	*out = s;
	return 0;
}

static void free_refusal(struct store *s)
{
	free(s->told);
	s->told = NULL;
}

void store_close(struct store *s)
{
	if (!s)
		return;
	s->driver->close(s->d);
	free_refusal(s);
	while (s->refusals) {
		s->told = s->refusals;
		s->refusals = s->told->next;
		free_refusal(s);
	}
	wait_close(&s->wait);
	free(s);
}

int store_fd(const struct store *s)
{
	return wait_fd(&s->wait);
}

const char *store_trouble(const struct store *s, int64_t *since_s)
{
	int64_t since;
	return s->driver->trouble(s->d, since_s ? since_s : &since);
}

/* ---- waking up ---- */

/* store_next() may have something. */
static void wake_now(struct store *s)
{
	if (!s->awake)
		wait_at(&s->wait, 0);
	s->awake = true;
}

/* The driver has nothing before its deadline; we have a deadline, too. */
static void wake_later(struct store *s, int64_t ours_ms)
{
	int64_t at = s->driver->deadline_ms(s->d);
	s->awake = false;
	wait_at(&s->wait, ours_ms < at ? ours_ms : at);
}

/* ---- requests ---- */

static int check_key(const char *key, struct err *e)
{
	char shown[64];
	(void)json_clean(shown, sizeof(shown), key);
	return store_is_key(key) ? 0 : err_set(e, EINVAL, "\"%s\" is no key of the store", shown);
}

static int check_write(const struct store_write *w, struct err *e)
{
	int r = check_key(w->key, e);
	if (r < 0)
		return r;
	if (w->value && strnlen(w->value, STORE_VALUE_MAX + 1) > STORE_VALUE_MAX)
		return err_set(
			e, EMSGSIZE, "document %s has more than %d bytes", w->key, STORE_VALUE_MAX);
	if (w->revision < 0 || (!w->value && !w->revision))
		return err_set(e, EINVAL, "document %s cannot %s at revision %lld", w->key,
			w->value ? "be written" : "go", (long long)w->revision);
	return 0;
}

static uint64_t start_write(
	struct store *s, const struct store_write *w, unsigned int timeout_ms, bool fail_fast)
{
	uint64_t id = ++s->last_id;
	struct err why;
	int error = check_write(w, &why);
	if (error == 0) {
		int64_t timeout = timeout_ms ? timeout_ms : WRITE_MS;
		s->driver->write(s->d, id, w, boot_now_ms() + timeout, fail_fast);
	} else {
		struct refusal **end = &s->refusals;
		while (*end)
			end = &(*end)->next;
		*end = mem_new(1, sizeof(**end));
		**end = (struct refusal){.id = id, .why = why, .error = error};
	}
	wake_now(s);
	return id;
}

uint64_t store_start_write(struct store *s, const struct store_write *w, unsigned int timeout_ms)
{
	return start_write(s, w, timeout_ms, false);
}

static uint64_t start_watch(struct store *s, const char *prefix, bool once)
{
	assert(!*prefix || store_is_key(prefix));
	uint64_t id = ++s->last_id;
	s->driver->watch(s->d, id, prefix, once);
	wake_now(s);
	return id;
}

uint64_t store_start_watch(struct store *s, const char *prefix)
{
	return start_watch(s, prefix, false);
}

uint64_t store_start_list(struct store *s, const char *prefix)
{
	return start_watch(s, prefix, true);
}

uint64_t store_start_get(struct store *s, const char *key)
{
	assert(store_is_key(key));
	uint64_t id = ++s->last_id;
	s->driver->get(s->d, id, key);
	wake_now(s);
	return id;
}

static bool tell_refusal(struct store *s, uint64_t only, struct store_event *out)
{
	free_refusal(s);
	struct refusal *r = s->refusals;
	if (!r || (only && r->id != only))
		return false;
	s->refusals = r->next;
	s->told = r;
	*out = (struct store_event){
		.id = r->id, .kind = STORE_FAILED, .error = r->error, .what = r->why.text};
	return true;
}

bool store_next(struct store *s, struct store_event *out)
{
	bool has = tell_refusal(s, 0, out) || s->driver->next(s->d, 0, out);
	if (has)
		wake_now(s);
	else
		wake_later(s, WAIT_NEVER);
	return has;
}

/* ---- the waiting forms ---- */

static int64_t wait_deadline(const struct store *s)
{
	return boot_now_ms() + (int64_t)s->wait_ms;
}

static int time_is_up(struct store *s, uint64_t id, struct err *e)
{
	int64_t since;
	const char *trouble = store_trouble(s, &since);
	(void)err_set(e, ETIMEDOUT, "%s", trouble ? trouble : "the store does not answer in time");
	s->driver->cancel(s->d, id);
	return -ETIMEDOUT;
}

/* The next event of one request: 0, or -errno when time is up. */
static int wait_next(
	struct store *s, uint64_t id, int64_t deadline_ms, struct store_event *out, struct err *e)
{
	for (;;) {
		if (tell_refusal(s, id, out) || s->driver->next(s->d, id, out))
			break;
		if (boot_now_ms() >= deadline_ms) {
			wake_now(s);
			return time_is_up(s, id, e);
		}
		wake_later(s, deadline_ms);
		wait_block(&s->wait); /* whatever ended it, we look again */
	}
	wake_now(s); /* others may have something, too */
	if (out->kind == STORE_FAILED)
		return err_set(e, -out->error, "%s", out->what);
	return 0;
}

static void doc_fill(struct store_doc *out, const struct store_event *ev)
{
	*out = (struct store_doc){
		.key = mem_strdup(ev->key),
		.value = mem_strdup(ev->value),
		.revision = ev->revision,
	};
}

int store_get(struct store *s, const char *key, struct store_doc *out, struct err *e)
{
	int r = check_key(key, e);
	if (r < 0)
		return r;
	uint64_t id = ++s->last_id;
	s->driver->get(s->d, id, key);
	struct store_event ev;
	r = wait_next(s, id, wait_deadline(s), &ev, e);
	if (r < 0 || ev.kind == STORE_DELETE)
		return r;
	if (!ev.value)
		return err_set(e, EFBIG, "document %s is too large, or no text", key);
	doc_fill(out, &ev);
	return 1;
}

struct docs {
	struct store_doc *list;
	size_t count, room;
};

static void docs_clear(struct docs *docs)
{
	for (size_t i = 0; i < docs->count; i++) {
		free(docs->list[i].key);
		free(docs->list[i].value);
	}
	docs->count = 0;
}

static int doc_compare(const void *a, const void *b)
{
	return strcmp(((const struct store_doc *)a)->key, ((const struct store_doc *)b)->key);
}

int store_list(
	struct store *s, const char *prefix, struct store_doc **out, size_t *count, struct err *e)
{
	struct docs docs = {0};
	struct store_event ev = {.kind = STORE_RESTART};
	uint64_t id = start_watch(s, prefix, true);
	while (ev.kind != STORE_CURRENT) {
		int r = wait_next(s, id, wait_deadline(s), &ev, e); /* anew for each document */
		if (r < 0) {
			store_docs_free(docs.list, docs.count);
			return r;
		}
		if (ev.kind == STORE_RESTART)
			docs_clear(&docs);
		if (ev.kind != STORE_PUT || !ev.value)
			continue;
		docs.list = mem_grow(docs.list, &docs.room, docs.count, sizeof(*docs.list));
		doc_fill(&docs.list[docs.count++], &ev);
	}
	/* The API of Kubernetes lists kind after kind. */
	if (docs.count)
		qsort(docs.list, docs.count, sizeof(*docs.list), doc_compare);
	*out = docs.list;
	*count = docs.count;
	return 0;
}

int store_write(struct store *s, const struct store_write *w, struct err *e)
{
	int64_t deadline = wait_deadline(s);
	uint64_t id = start_write(s, w, s->wait_ms, true);
	struct store_event ev;
	/* The driver has the deadline, and knows more than that time is up. */
	int r = wait_next(s, id, deadline + (int64_t)s->timeout_ms, &ev, e);
	return r < 0 ? r : ev.kind == STORE_DONE;
}

void store_docs_free(struct store_doc *docs, size_t count)
{
	struct docs all = {.list = docs, .count = count};
	docs_clear(&all);
	free(docs);
}
