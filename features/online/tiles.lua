-- Sums over the events of an entity that has too many to be looked at one by one.
--
-- A tile sums up a stretch of time and is made from the events, or from the tiles within it, when
-- it is first needed; whatever changes an event of the stretch forgets it, so nothing is counted
-- twice. A window is cut into the largest tiles that fit and single events at its two edges.
local function sums(n, at, most, budget, wanted, own_member)
  local FEW = 16          -- as many events are looked at rather than summed up
  local SKETCH = 256      -- the smallest hashes of an input's values: fewer count them exactly
  local HASHES = 2 ^ 48
  -- what is kept per input; M2 is the sum of squares about the mean, LAST came at TIME and SEQ
  local N, MEAN, M2, SUM, LOW, HIGH, RISK = 1, 2, 3, 4, 5, 6, 7
  local TIME, SEQ, LAST, HASHED = 8, 9, 10, 11

  local inputs, known, hash_of = wanted.inputs, {}, {}
  local read, spent, busy = 0, 0, false -- spent: what was read by the time of the last new tile

  local function moment(x) return string.format('%.0f', x) end

  local function nothing()
    local found = {}
    for i = 1, #inputs do
      found[i] = {0, 0, 0, 0, math.huge, -math.huge, 0, -1, -1, false, {}}
    end
    return found
  end

  -- Two sorted lists of hashes as one, without doubles, cut.
  local function united(a, b)
    if #a == 0 then return b elseif #b == 0 then return a end
    local found, i, j = {}, 1, 1
    while #found < SKETCH and (a[i] or b[j]) do
      local x, y = a[i], b[j]
      if not y or (x and x <= y) then
        found[#found + 1] = x
        i = i + 1
        if x == y then j = j + 1 end
      else
        found[#found + 1] = y
        j = j + 1
      end
    end
    return found
  end

  local function merge(into, other)
    for i = 1, other and #inputs or 0 do
      local a, b = into[i], other[i]
      if b[N] > 0 then
        local n, delta = a[N] + b[N], b[MEAN] - a[MEAN]
        a[M2] = a[M2] + b[M2] + delta * delta * a[N] * b[N] / n
        a[MEAN] = a[MEAN] + delta * b[N] / n
        a[N], a[SUM], a[RISK] = n, a[SUM] + b[SUM], a[RISK] + b[RISK]
        a[LOW], a[HIGH] = math.min(a[LOW], b[LOW]), math.max(a[HIGH], b[HIGH])
        if b[TIME] > a[TIME] or (b[TIME] == a[TIME] and b[SEQ] > a[SEQ]) then
          a[TIME], a[SEQ], a[LAST] = b[TIME], b[SEQ], b[LAST]
        end
        a[HASHED] = united(a[HASHED], b[HASHED])
      end
    end
  end

  local function hashed(value)
    local text = type(value) == 'number' and string.format('%.17g', value) or tostring(value)
    local found = hash_of[text]
    if not found then
      found = string.sub(redis.sha1hex(text), 1, 12)
      hash_of[text] = found
    end
    return found
  end

  local function add(into, event, is_risk)
    for i, input in ipairs(inputs) do
      local value = event[3 + i]
      if value ~= nil and value ~= cjson.null then
        local a = into[i]
        a[N] = a[N] + 1
        if is_risk then a[RISK] = a[RISK] + 1 end
        if event[1] > a[TIME] or (event[1] == a[TIME] and event[2] > a[SEQ]) then
          a[TIME], a[SEQ], a[LAST] = event[1], event[2], value
        end
        if input.numeric then
          local x = value == true and 1 or value or 0
          local delta = x - a[MEAN]
          a[MEAN] = a[MEAN] + delta / a[N]
          a[M2] = a[M2] + delta * (x - a[MEAN])
          a[SUM], a[LOW], a[HIGH] = a[SUM] + x, math.min(a[LOW], x), math.max(a[HIGH], x)
        end
        if input.distinct then a.seen = a.seen or {}; a.seen[hashed(value)] = true end
      end
    end
  end

  local function settle(found)
    for _, a in ipairs(found) do
      if a.seen then
        for hash in pairs(a.seen) do table.insert(a[HASHED], hash) end
        table.sort(a[HASHED])
        for i = #a[HASHED], SKETCH + 1, -1 do a[HASHED][i] = nil end
        a.seen = nil
      end
    end
    return found
  end

  -- The sums of [from, to), from the events themselves.
  local function of_events(from, to)
    local members = redis.call('ZRANGEBYSCORE', KEYS[1], moment(from), '(' .. moment(to))
    if #members == 0 then return nil end
    local risky, found = {}, nothing()
    if KEYS[3] then
      for _, id in ipairs(redis.call('ZRANGEBYSCORE', KEYS[3], moment(from), '(' .. moment(to))) do
        risky[id] = true
      end
    end
    for _, event in ipairs(cjson.decode('[' .. table.concat(members, ',') .. ']')) do
      add(found, event, risky[event[3]])
    end
    read = read + #members
    return settle(found)
  end

  local function tile(level, from)
    local name, to = tile_name(level, from), from + WIDTHS[level]
    if known[name] ~= nil then return known[name] end
    local stored = redis.call('HGET', KEYS[2], name)
    if stored then
      known[name] = cmsgpack.unpack(stored)
      return known[name]
    end
    local n = redis.call('ZCOUNT', KEYS[1], moment(from), '(' .. moment(to))
    if n <= FEW then
      known[name] = n > 0 and of_events(from, to)
      return known[name]
    end
    if spent >= budget then -- the next call goes on from the tiles that there are
      busy = true
      return nil
    end
    local found
    if level == 1 then
      found = of_events(from, to)
    else
      found = nothing()
      for start = from, to - 1, WIDTHS[level - 1] do
        if not busy then merge(found, tile(level - 1, start)) end
      end
    end
    if busy then return nil end
    redis.call('HSET', KEYS[2], name, cmsgpack.pack(found))
    spent = read -- only now: each call makes one tile at least
    known[name] = found
    return found
  end

  -- The sums of [from, to).
  local function over(from, to)
    local found = nothing()
    while from < to and not busy do
      local level = #WIDTHS
      while level > 0 and (from % WIDTHS[level] ~= 0 or from + WIDTHS[level] > to) do
        level = level - 1
      end
      local edge = math.min(to, from - from % WIDTHS[1] + WIDTHS[1])
      if level > 0 then edge = from + WIDTHS[level] end
      merge(found, level > 0 and tile(level, from) or level == 0 and of_events(from, edge))
      from = edge
    end
    return found
  end

  -- JSON; Redis's own writer rounds numbers to 14 digits.
  local function json(value)
    if type(value) ~= 'number' then return cjson.encode(value) end
    if value ~= value or value == math.huge or value == -math.huge then return 'null' end
    return string.format('%.17g', value)
  end

  local function shown(found)
    local all = {}
    for i, a in ipairs(found) do
      local k = #a[HASHED]
      local distinct = k < SKETCH and k or (SKETCH - 1) * HASHES / tonumber(a[HASHED][k], 16)
      local parts = {a[N], a[MEAN], a[M2], a[SUM], a[LOW], a[HIGH], a[RISK], distinct, a[LAST]}
      for j, part in ipairs(parts) do parts[j] = json(part) end
      all[i] = '[' .. table.concat(parts, ',') .. ']'
    end
    return '[' .. table.concat(all, ',') .. ']'
  end

  -- The newest events of (from, at] that hold `length` ones with a value of these inputs, looking
  -- at `most` of them.
  local function newest(from, at, wanted, most)
    local found, members, start = 0, {}, 0
    while found < wanted.length and start < most do
      local some = redis.call(
        'ZREVRANGEBYSCORE', KEYS[1], moment(at), '(' .. moment(from), 'LIMIT', start, 100)
      if #some == 0 then break end
      for _, member in ipairs(some) do
        members[#members + 1] = member
        local event, has_value = cjson.decode(member), false
        for _, i in ipairs(wanted.inputs) do
          has_value = has_value or event[4 + i] ~= cjson.null
        end
        if has_value then found = found + 1 end
        -- all of one microsecond are brought: their order of arrival isn't the store's
        if found >= wanted.length then
          local time = moment(event[1])
          return redis.call('ZRANGEBYSCORE', KEYS[1], time, moment(at))
        end
      end
      start = start + #some
    end
    return members
  end

  -- What the store holds of the event at hand.
  local function stored_as(own)
    for _, member in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], moment(own[1]), moment(own[1]))) do
      local event = cjson.decode(member)
      if event[3] == own[3] then return event end
    end
  end

  local own, stored
  if own_member ~= '' then
    own = cjson.decode(own_member)
    stored = stored_as(own)
  end
  -- its own label isn't known to it
  local is_risky = stored and KEYS[3] and redis.call('ZSCORE', KEYS[3], stored[3])
  local windows = {}
  for w, window in ipairs(wanted.windows) do
    local to = at - window[2]
    local found = over(to - window[1] + 1, to + 1)
    if own and window[2] == 0 then
      if not stored then
        local alone = nothing()
        add(alone, own, false)
        merge(found, settle(alone))
      elseif is_risky then
        for i = 1, #inputs do
          if stored[3 + i] ~= cjson.null then found[i][RISK] = found[i][RISK] - 1 end
        end
      end
    end
    windows[w] = shown(found)
  end
  local left = redis.call('PTTL', KEYS[1])
  if left > 0 then redis.call('PEXPIRE', KEYS[2], left) end
  if busy then return '"busy"' end
  local rows = {}
  for s, sequence in ipairs(wanted.sequences) do
    local some = newest(at - sequence.window, at, sequence, most)
    rows[s] = '[' .. table.concat(some, ',') .. ']'
  end
  local last = redis.call(
    'ZREVRANGEBYSCORE', KEYS[1], moment(at), '-inf', 'WITHSCORES', 'LIMIT', 0, 1)
  return string.format(
    '{"events":%d,"newest":%.0f,"windows":[%s],"rows":[%s]}',
    n, tonumber(last[2]), table.concat(windows, ','), table.concat(rows, ','))
end

