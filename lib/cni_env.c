/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The environment of a CNI call: one table says which variable which verb needs and how its value
 * is judged. Missing variables are collected, an invalid value is refused at once, as the reference
 * does; codes are always 4.
 *
 * Whatever goes into a result (interface name, namespace path) must be valid UTF-8, else no JSON
 * string can be made of it. Messages repeat the reference's words.
 */
#include "lib/cni_env.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/json.h"
#include "lib/text.h"

#define CODE_ENVIRONMENT 4

static const char *const commands[] = {
	[CNI_ADD] = "ADD",
	[CNI_DEL] = "DEL",
	[CNI_CHECK] = "CHECK",
	[CNI_GC] = "GC",
	[CNI_STATUS] = "STATUS",
	[CNI_VERSION] = "VERSION",
};

#define BIT(command) (1U << (command))
#define ATTACHMENT (BIT(CNI_ADD) | BIT(CNI_DEL) | BIT(CNI_CHECK))

const char *cni_command_text(enum cni_command c)
{
	return commands[c];
}

bool cni_command_parse(const char *s, enum cni_command *out)
{
	int i = TEXT_INDEX(s, commands);
	if (i >= 0)
		*out = (enum cni_command)i;
	return i >= 0;
}

static const char *get_variable(const char *name)
{
	const char *value = getenv(name);
	return value ? value : "";
}

struct cni_env cni_env_get(void)
{
	return (struct cni_env){
		.command = get_variable("CNI_COMMAND"),
		.container = get_variable("CNI_CONTAINERID"),
		.netns = get_variable("CNI_NETNS"),
		.ifname = get_variable("CNI_IFNAME"),
		.args = get_variable("CNI_ARGS"),
		.path = get_variable("CNI_PATH"),
	};
}

static int refuse_env(struct err *e, const char *sentence, const char *details)
{
	(void)err_set(e, EINVAL, "%s", sentence);
	if (details)
		err_details(e, "%s", details);
	e->code = CODE_ENVIRONMENT;
	return -EINVAL;
}

static int check_container(const char *id, bool lenient, struct err *e)
{
	(void)lenient;
	if (!text_is_name(id))
		return refuse_env(e, "invalid characters in containerID", id);
	if (strlen(id) > CNI_CONTAINER_MAX)
		return refuse_env(e, "container id is too long", "at most 1023 bytes are accepted");
	return 0;
}

/* A path that is echoed in the result as "sandbox". */
static int check_netns(const char *path, bool lenient, struct err *e)
{
	if (!lenient && !json_is_utf8(path))
		return refuse_env(e, "CNI_NETNS is not valid UTF-8", path);
	return 0;
}

/* White space as Go's unicode.IsSpace() knows it, beyond ASCII. */
static bool has_unicode_space(const char *s)
{
	static const char *const single[] = {"\xc2\x85", "\xc2\xa0", "\xe1\x9a\x80", "\xe2\x80\xa8",
		"\xe2\x80\xa9", "\xe2\x80\xaf", "\xe2\x81\x9f", "\xe3\x80\x80"};
	for (size_t i = 0; i < sizeof(single) / sizeof(single[0]); i++)
		if (strstr(s, single[i]))
			return true;
	for (const char *p = strstr(s, "\xe2\x80"); p; p = strstr(p + 1, "\xe2\x80"))
		if ((unsigned char)p[2] >= 0x80 && (unsigned char)p[2] <= 0x8a) /* U+2000.. */
			return true;
	return false;
}

/* The last three are ours alone: ADD never took such a name, so a DEL for it has nothing to do
 * and must not fail. */
static int check_ifname(const char *name, bool lenient, struct err *e)
{
	if (strlen(name) > 15)
		return refuse_env(e, "interface name is too long",
			"interface name should be less than 16 characters");
	if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
		return refuse_env(e, "interface name is . or ..", NULL);
	if (strpbrk(name, "/: \t\n\v\f\r") || has_unicode_space(name))
		return refuse_env(
			e, "interface name contains / or : or whitespace characters", name);
	if (lenient)
		return 0;
	if (strchr(name, '%'))
		return refuse_env(
			e, "interface name contains %, which the kernel would expand", name);
	if (!json_is_utf8(name) || !text_is_ifname(name))
		return refuse_env(
			e, "interface name contains control characters or is not UTF-8", name);
	return 0;
}

struct variable {
	const char *name;
	const char *value;
	unsigned int needed; /* BIT() of the commands */
	int (*check)(const char *value, bool lenient, struct err *e);
};

int cni_env_check(const struct cni_env *env, struct err *late, struct err *e)
{
	enum cni_command command;
	if (!cni_command_parse(env->command, &command))
		return 0; /* reported once the configuration has been read */
	const struct variable table[] = {
		{"CNI_CONTAINERID", env->container, ATTACHMENT, check_container},
		{"CNI_NETNS", env->netns, BIT(CNI_ADD) | BIT(CNI_CHECK), check_netns},
		{"CNI_IFNAME", env->ifname, ATTACHMENT, check_ifname},
		{"CNI_PATH", env->path, ATTACHMENT | BIT(CNI_GC) | BIT(CNI_STATUS), NULL},
	};
	bool lenient = command == CNI_DEL;
	bool only_path = true;
	char list[64];
	struct text missing = TEXT_ON(list);
	*list = '\0';
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		const struct variable *v = &table[i];
		if (!(v->needed & BIT(command)))
			continue;
		if (*v->value == '\0') {
			text_add(&missing, "%s%s", missing.len ? "," : "", v->name);
			only_path = only_path && v->value == env->path;
			continue;
		}
		int r = v->check ? v->check(v->value, lenient, e) : 0;
		if (r < 0)
			return r;
	}
	if (missing.len == 0)
		return 0;
	(void)err_set(e, EINVAL, "required env variables [%s] missing", list);
	e->code = CODE_ENVIRONMENT;
	if (!lenient || !only_path)
		return -EINVAL;
	*late = *e;
	return 0;
}
