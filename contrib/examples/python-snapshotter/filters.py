"""containerd's filter language, as far as snapshots need it: `kind==active,labels."a.b"~=x`; filters are alternatives."""
import re

from plugin import Refused

KINDS = {1: 'view', 2: 'active', 3: 'committed'}
CONDITION = re.compile(r'(name|parent|kind|labels\.(?:"[^"]*"|[\w./-]+))(?:(==|!=|~=)("[^"]*"|[^",]+))?(?:,|$)')


def reader(filters):
    """What tells whether an info is wanted. What cannot be read is refused now, though there be nothing to ask."""
    alternatives = [parse(text) for text in filters]
    return lambda info: not alternatives or any(all(holds(c, info) for c in each) for each in alternatives)


def parse(text):
    """The conditions of one filter, all of it understood."""
    conditions, at = [], 0
    while at < len(text):
        found = CONDITION.match(text, at)
        if found is None:
            raise Refused('INVALID_ARGUMENT', f'filter {text!r} at {at}: invalid argument')
        conditions.append(found.groups(default=''))
        at = found.end()
    return conditions


def holds(condition, info):
    field, operator, value = condition
    value = value.strip('"')
    seen = field_of(field, info)
    if operator == '':
        return bool(seen)
    if operator == '~=':
        return seen is not None and re.search(value, seen) is not None
    return (seen == value) == (operator == '==')


def field_of(field, info):
    if field == 'kind':
        return KINDS[info['kind']]
    if field.startswith('labels.'):
        return info['labels'].get(field[len('labels.'):].strip('"'))
    return info[field]
