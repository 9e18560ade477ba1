/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Framing of the probe's protocol. Bytes gather in one buffer that never grows beyond a line and
 * what one read() brings with it; a longer line is refused once and thrown away up to its end, so
 * that the next line is understood again. Half a line at the end of the input is no request:
 * who was cut off may have wanted to say something else.
 *
 * Ids are whole numbers from 0 on. What a line says is trusted with nothing: json_parse() bounds
 * size and depth, errors that repeat a stranger's words clean them.
 */
#include "cli/line.h"

#include <errno.h>
#include <string.h>

#include "lib/json.h"
#include "lib/mem.h"

#define CHUNK 65536

void line_done(struct line *l)
{
	text_free(&l->in);
	*l = (struct line){0};
}

char *line_space(struct line *l, size_t *n)
{
	*n = CHUNK;
	return text_reserve(&l->in, CHUNK);
}

static void line_drop(struct line *l, size_t n)
{
	text_drop(&l->in, n);
	l->seen = 0;
}

/* The end of the first line, or NULL. */
static char *find_end(struct line *l)
{
	size_t fresh = l->in.len - l->seen;
	char *end = fresh ? memchr(l->in.buf + l->seen, '\n', fresh) : NULL;
	l->seen = end ? (size_t)(end - l->in.buf) : l->in.len;
	return end;
}

/* What belongs to a line that was refused goes at once, so that the buffer stays bounded. */
void line_filled(struct line *l, size_t n)
{
	l->in.len += n;
	l->in.buf[l->in.len] = '\0';
	if (!l->too_long)
		return;
	const char *end = find_end(l);
	if (end)
		l->too_long = false;
	line_drop(l, end ? l->seen + 1 : l->in.len);
}

static bool is_blank(const char *line, size_t len)
{
	return strspn(line, " \t\r") >= len;
}

int line_next(struct line *l, char **line, size_t *len, struct err *e)
{
	for (;;) {
		char *end = find_end(l);
		size_t n = l->seen;
		if (n > LINE_MAX_BYTES) {
			l->too_long = !end;
			line_drop(l, end ? n + 1 : n);
			return err_set(e, EMSGSIZE, "a line of more than %d bytes", LINE_MAX_BYTES);
		}
		if (!end)
			return 0;
		*end = '\0';
		if (is_blank(l->in.buf, n)) {
			line_drop(l, n + 1);
			continue;
		}
		char *copy = mem_new(n + 1, 1);
		memcpy(copy, l->in.buf, n);
		line_drop(l, n + 1);
		*line = copy;
		*len = n;
		return 1;
	}
}

bool line_is_waiting(const struct line *l)
{
	return l->in.len > LINE_MAX_BYTES || (l->in.len && memchr(l->in.buf, '\n', l->in.len));
}

int line_parse(
	const char *line, size_t len, json_t **doc, json_int_t *id, const char **op, struct err *e)
{
	CLEANUP_JSON json_t *d = NULL;
	int64_t number = 0;
	const char *text = NULL;
	int r = json_parse(line, len, &d, e);
	if (r < 0)
		return r;
	if (!json_is_object(d))
		return err_set(e, EBADMSG, "a request is a JSON object");
	r = json_get_number(d, "", "id", 0, INT64_MAX, &number, e);
	if (r < 0)
		return r;
	if (r == 0)
		return err_set(e, EBADMSG, "the request has no \"id\"");
	*id = number;
	r = json_get_string(d, "", "op", &text, e);
	if (r < 0)
		return r;
	if (r == 0)
		return err_set(e, EBADMSG, "the request has no \"op\"");
	*op = text;
	*doc = json_incref(d);
	return 0;
}

void line_answer(json_int_t id, json_t *doc, struct text *out)
{
	json_put(doc, "id", id < 0 ? json_null() : json_integer(id));
	CLEANUP_FREE char *text = json_dumps(doc, JSON_COMPACT | JSON_ENSURE_ASCII);
	json_decref(doc);
	if (!text)
		err_abort("out of memory");
	text_add(out, "%s\n", text);
}

json_t *line_refusal(int error, const struct err *e)
{
	char text[sizeof(e->text)], details[sizeof(e->details)];
	const char *name = strerrorname_np(error < 0 ? -error : error);
	(void)json_clean(text, sizeof(text), e->text);
	(void)json_clean(details, sizeof(details), e->details);
	json_t *doc = json_object();
	json_put(doc, "error", json_of_text(text));
	json_put(doc, "errno", json_of_text(name ? name : "EPROTO"));
	if (*details)
		json_put(doc, "details", json_of_text(details));
	if (e->code)
		json_put(doc, "code", json_integer(e->code));
	return doc;
}
