/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writing YAML: block style, sequences at the indentation of their key, as kubectl prints it. Texts
 * are plain scalars where no reader (of YAML 1.1 or 1.2) can take them for anything but a text;
 * all else is in double quotes, in ASCII, so that what is printed can neither be misread nor
 * play tricks on a terminal. What is written here, yaml_parse() reads back as the same tree, as
 * long as no key has more than 1024 characters (a limit of YAML).
 */
#include "lib/yaml.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>

#include "lib/json.h"
#include "lib/mem.h"
#include "lib/text.h"

/* Whether some reader takes the plain text for something else: the words of YAML 1.1, whatever
 * begins like a number or a date. */
static bool is_ambiguous(const char *s)
{
	static const char *const words[] = {
		"y", "n", "yes", "no", "on", "off", "true", "false", "null"};
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (strcasecmp(s, words[i]) == 0)
			return true;
	static const char numeric[] = "0123456789abcdefABCDEFxo_+-.:tTzZ ";
	return strchr("0123456789+-.~", *s) && !s[strspn(s, numeric)];
}

static bool is_plain(const char *s)
{
	static const char first[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_/";
	if (!*s || !strchr(first, *s) || is_ambiguous(s))
		return false;
	for (const char *p = s; *p; p++) {
		bool fine = strchr(first, *p) || strchr(".-+=()@", *p) ||
			    (*p == ':' && p[1] && p[1] != ' ') ||
			    (*p == ' ' && p[1] && p[1] != ' ' && p[1] != '#');
		if (!fine)
			return false;
	}
	return true;
}

/* An address is not ambiguous, though it begins like a number. */
static bool is_address(const char *s)
{
	size_t len = strspn(s, "0123456789./");
	size_t dots = 0;
	for (size_t i = 0; i < len; i++)
		dots += s[i] == '.';
	return !s[len] && dots == 3 && *s >= '0' && *s <= '9';
}

static void write_quoted(struct text *t, const char *s)
{
	text_add_char(t, '"');
	for (const unsigned char *p = (const unsigned char *)s; *p;) {
		uint32_t c = *p++;
		int tails = c >= 0xf0 ? 3 : c >= 0xe0 ? 2 : c >= 0xc0 ? 1 : 0;
		if (tails)
			c &= 0x3fU >> tails;
		for (; tails > 0 && *p; tails--)
			c = c << 6 | (*p++ & 0x3fU);
		if (c == '"' || c == '\\')
			text_add(t, "\\%c", (int)c);
		else if (c >= ' ' && c < 0x7f)
			text_add_char(t, (char)c);
		else if (c == '\n' || c == '\t')
			text_add(t, "%s", c == '\n' ? "\\n" : "\\t");
		else
			text_add(t, c > 0xffff ? "\\U%08" PRIX32 : "\\u%04" PRIX32, c);
	}
	text_add_char(t, '"');
}

static void write_text(struct text *t, const char *s)
{
	if (is_plain(s) || is_address(s))
		text_add(t, "%s", s);
	else
		write_quoted(t, s);
}

static bool is_block(const json_t *v)
{
	return json_object_size(v) > 0 || json_array_size(v) > 0;
}

static void write_scalar(struct text *t, const json_t *v)
{
	if (json_is_string(v)) {
		write_text(t, json_string_value(v));
	} else {
		CLEANUP_FREE char *text = json_text(v); /* also {} and [] */
		text_add(t, "%s", text);
	}
}

static void write_block(struct text *t, const json_t *v, int indent, bool started);

/* What stands behind "key:" or "-". */
static void write_behind(struct text *t, const json_t *v, int indent, bool key)
{
	if (!is_block(v)) {
		text_add_char(t, ' ');
		write_scalar(t, v);
		text_add_char(t, '\n');
		return;
	}
	text_add_char(t, key ? '\n' : ' ');
	write_block(t, v, key && json_is_array(v) ? indent : indent + 2, !key);
}

/* started: the first line's indentation is there already. */
static void write_block(struct text *t, const json_t *v, int indent, bool started)
{
	const char *key;
	json_t *member = NULL;
	size_t i = 0;
	json_object_foreach ((json_t *)v, key, member) {
		text_add(t, "%*s", started ? 0 : indent, "");
		write_text(t, key);
		text_add_char(t, ':');
		write_behind(t, member, indent, true);
		started = false;
	}
	json_array_foreach (v, i, member) {
		text_add(t, "%*s-", started ? 0 : indent, "");
		write_behind(t, member, indent, false);
		started = false;
	}
}

char *yaml_text(const json_t *doc)
{
	struct text t = {0};
	if (is_block(doc)) {
		write_block(&t, doc, 0, false);
	} else {
		write_scalar(&t, doc);
		text_add_char(&t, '\n');
	}
	return text_take(&t);
}
