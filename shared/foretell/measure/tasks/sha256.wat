;; SHA-256 of a message of argument bytes (byte k is (31 * k + 7) mod 256), returned as the first
;; eight bytes of the digest, read as a big-endian number.
;; Work grows with argument. Memory: the padded message, from address 1024 on.
(module
  (memory (export "memory") 1)

  ;; 0: round constants; 256: message schedule, 64 words; 512: state, 8 words
  (data (i32.const 0)
    "\98\2f\8a\42" "\91\44\37\71" "\cf\fb\c0\b5" "\a5\db\b5\e9"
    "\5b\c2\56\39" "\f1\11\f1\59" "\a4\82\3f\92" "\d5\5e\1c\ab"
    "\98\aa\07\d8" "\01\5b\83\12" "\be\85\31\24" "\c3\7d\0c\55"
    "\74\5d\be\72" "\fe\b1\de\80" "\a7\06\dc\9b" "\74\f1\9b\c1"
    "\c1\69\9b\e4" "\86\47\be\ef" "\c6\9d\c1\0f" "\cc\a1\0c\24"
    "\6f\2c\e9\2d" "\aa\84\74\4a" "\dc\a9\b0\5c" "\da\88\f9\76"
    "\52\51\3e\98" "\6d\c6\31\a8" "\c8\27\03\b0" "\c7\7f\59\bf"
    "\f3\0b\e0\c6" "\47\91\a7\d5" "\51\63\ca\06" "\67\29\29\14"
    "\85\0a\b7\27" "\38\21\1b\2e" "\fc\6d\2c\4d" "\13\0d\38\53"
    "\54\73\0a\65" "\bb\0a\6a\76" "\2e\c9\c2\81" "\85\2c\72\92"
    "\a1\e8\bf\a2" "\4b\66\1a\a8" "\70\8b\4b\c2" "\a3\51\6c\c7"
    "\19\e8\92\d1" "\24\06\99\d6" "\85\35\0e\f4" "\70\a0\6a\10"
    "\16\c1\a4\19" "\08\6c\37\1e" "\4c\77\48\27" "\b5\bc\b0\34"
    "\b3\0c\1c\39" "\4a\aa\d8\4e" "\4f\ca\9c\5b" "\f3\6f\2e\68"
    "\ee\82\8f\74" "\6f\63\a5\78" "\14\78\c8\84" "\08\02\c7\8c"
    "\fa\ff\be\90" "\eb\6c\50\a4" "\f7\a3\f9\be" "\f2\78\71\c6")
  (data (i32.const 512)
    "\67\e6\09\6a" "\85\ae\67\bb" "\72\f3\6e\3c" "\3a\f5\4f\a5"
    "\7f\52\0e\51" "\8c\68\05\9b" "\ab\d9\83\1f" "\19\cd\e0\5b")

  (func $need (param $bytes i32)
    (local $pages i32)
    (local.set $pages
      (i32.sub
        (i32.shr_u (i32.add (local.get $bytes) (i32.const 65535)) (i32.const 16))
        (memory.size)))
    (if (i32.gt_s (local.get $pages) (i32.const 0))
      (then
        (if (i32.eq (memory.grow (local.get $pages)) (i32.const -1))
          (then (unreachable))))))

  (func $swap (param $x i32) (result i32)
    (i32.or
      (i32.and (i32.rotl (local.get $x) (i32.const 8)) (i32.const 0x00ff00ff))
      (i32.and (i32.rotr (local.get $x) (i32.const 8)) (i32.const 0xff00ff00))))

  (func $message (param $bytes i32)
    (local $k i32)
    (block $done
      (loop $next
        (br_if $done (i32.ge_u (local.get $k) (local.get $bytes)))
        (i32.store8 offset=1024 (local.get $k)
          (i32.add (i32.mul (local.get $k) (i32.const 31)) (i32.const 7)))
        (local.set $k (i32.add (local.get $k) (i32.const 1)))
        (br $next)))
    (i32.store8 offset=1024 (local.get $bytes) (i32.const 0x80)))

  (func $expand (param $block i32)
    (local $k i32) (local $a i32) (local $b i32)
    (loop $copy
      (i32.store offset=256 (local.get $k)
        (call $swap (i32.load (i32.add (local.get $block) (local.get $k)))))
      (br_if $copy
        (i32.lt_u (local.tee $k (i32.add (local.get $k) (i32.const 4))) (i32.const 64))))
    (loop $mix
      (local.set $a (i32.load offset=196 (local.get $k)))
      (local.set $b (i32.load offset=248 (local.get $k)))
      (i32.store offset=256 (local.get $k)
        (i32.add
          (i32.add
            (i32.load offset=192 (local.get $k))
            (i32.xor
              (i32.xor
                (i32.rotr (local.get $a) (i32.const 7))
                (i32.rotr (local.get $a) (i32.const 18)))
              (i32.shr_u (local.get $a) (i32.const 3))))
          (i32.add
            (i32.load offset=228 (local.get $k))
            (i32.xor
              (i32.xor
                (i32.rotr (local.get $b) (i32.const 17))
                (i32.rotr (local.get $b) (i32.const 19)))
              (i32.shr_u (local.get $b) (i32.const 10))))))
      (br_if $mix
        (i32.lt_u (local.tee $k (i32.add (local.get $k) (i32.const 4))) (i32.const 256)))))

  (func $gather (param $word i32) (param $value i32)
    (i32.store offset=512 (local.get $word)
      (i32.add (i32.load offset=512 (local.get $word)) (local.get $value))))

  (func $compress (param $block i32)
    (local $a i32) (local $b i32) (local $c i32) (local $d i32)
    (local $e i32) (local $f i32) (local $g i32) (local $h i32)
    (local $t1 i32) (local $t2 i32) (local $k i32)
    (call $expand (local.get $block))
    (local.set $a (i32.load offset=512 (i32.const 0)))
    (local.set $b (i32.load offset=512 (i32.const 4)))
    (local.set $c (i32.load offset=512 (i32.const 8)))
    (local.set $d (i32.load offset=512 (i32.const 12)))
    (local.set $e (i32.load offset=512 (i32.const 16)))
    (local.set $f (i32.load offset=512 (i32.const 20)))
    (local.set $g (i32.load offset=512 (i32.const 24)))
    (local.set $h (i32.load offset=512 (i32.const 28)))
    (loop $round
      (local.set $t1
        (i32.add
          (i32.add
            (i32.add (local.get $h)
              (i32.xor
                (i32.xor
                  (i32.rotr (local.get $e) (i32.const 6))
                  (i32.rotr (local.get $e) (i32.const 11)))
                (i32.rotr (local.get $e) (i32.const 25))))
            (i32.xor
              (i32.and (local.get $e) (local.get $f))
              (i32.and (i32.xor (local.get $e) (i32.const -1)) (local.get $g))))
          (i32.add
            (i32.load (local.get $k))
            (i32.load offset=256 (local.get $k)))))
      (local.set $t2
        (i32.add
          (i32.xor
            (i32.xor
              (i32.rotr (local.get $a) (i32.const 2))
              (i32.rotr (local.get $a) (i32.const 13)))
            (i32.rotr (local.get $a) (i32.const 22)))
          (i32.xor
            (i32.xor
              (i32.and (local.get $a) (local.get $b))
              (i32.and (local.get $a) (local.get $c)))
            (i32.and (local.get $b) (local.get $c)))))
      (local.set $h (local.get $g))
      (local.set $g (local.get $f))
      (local.set $f (local.get $e))
      (local.set $e (i32.add (local.get $d) (local.get $t1)))
      (local.set $d (local.get $c))
      (local.set $c (local.get $b))
      (local.set $b (local.get $a))
      (local.set $a (i32.add (local.get $t1) (local.get $t2)))
      (br_if $round
        (i32.lt_u (local.tee $k (i32.add (local.get $k) (i32.const 4))) (i32.const 256))))
    (call $gather (i32.const 0) (local.get $a))
    (call $gather (i32.const 4) (local.get $b))
    (call $gather (i32.const 8) (local.get $c))
    (call $gather (i32.const 12) (local.get $d))
    (call $gather (i32.const 16) (local.get $e))
    (call $gather (i32.const 20) (local.get $f))
    (call $gather (i32.const 24) (local.get $g))
    (call $gather (i32.const 28) (local.get $h)))

  (func (export "run") (param $bytes i32) (result i64)
    (local $block i32) (local $end i32)
    ;; One byte 0x80, zeros, and the length in bits in the last eight bytes of a 64-byte block.
    (local.set $end
      (i32.add
        (i32.and (i32.add (local.get $bytes) (i32.const 72)) (i32.const -64))
        (i32.const 1024)))
    (call $need (local.get $end))
    (call $message (local.get $bytes))
    (i32.store (i32.sub (local.get $end) (i32.const 4))
      (call $swap (i32.shl (local.get $bytes) (i32.const 3))))
    (i32.store (i32.sub (local.get $end) (i32.const 8))
      (call $swap (i32.shr_u (local.get $bytes) (i32.const 29))))
    (local.set $block (i32.const 1024))
    (loop $blocks
      (call $compress (local.get $block))
      (br_if $blocks
        (i32.lt_u
          (local.tee $block (i32.add (local.get $block) (i32.const 64)))
          (local.get $end))))
    (i64.or
      (i64.shl (i64.extend_i32_u (i32.load offset=512 (i32.const 0))) (i64.const 32))
      (i64.extend_i32_u (i32.load offset=512 (i32.const 4))))))
