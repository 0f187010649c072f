-- What is to be written, gathered by key and written by key: a script does few commands for however many jobs. What it reads
-- after `flush` is up to date; before, it is not.

local hashes = {}   -- key → field → what it is to hold, or false if it goes
local zsets = {}    -- key → member → its score, or false if it goes

local function put(key, field, value)
  local fields = hashes[key]
  if fields then
    fields[field] = value
  else
    hashes[key] = { [field] = value }
  end
end

local function place(key, member, score)
  local members = zsets[key]
  if members then
    members[member] = score
  else
    zsets[key] = { [member] = score }
  end
end

-- What is to be added to a key, or what is to be taken from it.
local function write_key(verb, key, changes, adding, scored)
  local command, last = nil, 2
  for name, value in pairs(changes) do
    if (not value) ~= adding then
      command = command or { verb, key }
      if not adding then
        command[last + 1] = name
        last = last + 1
      else
        command[last + 1], command[last + 2] = scored and value or name, scored and name or value
        last = last + 2
      end
    end
  end
  if command then
    call(unpack(command))
  end
end

local function write_all(adding)
  for key, members in pairs(zsets) do
    write_key(adding and 'ZADD' or 'ZREM', key, members, adding, true)
  end
  for key, fields in pairs(hashes) do
    write_key(adding and 'HSET' or 'HDEL', key, fields, adding, false)
  end
end

-- Does what was gathered. What takes away is first, unless the script makes a store fuller: a full Redis refuses that at
-- its first write, and lets a script that began otherwise go on.
local function flush(growing)
  write_all(growing or false)
  write_all(not growing)
  hashes, zsets = {}, {}
end
